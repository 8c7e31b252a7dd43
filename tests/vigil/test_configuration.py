from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import pytest

from octelium.http.message import FieldBlock, UpstreamRequest
from octelium.http.pool import Origin, OriginPool
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.configuration import (
    ByTarget,
    Configuration,
    compile_configuration,
    managed_configuration,
)
from octelium.vigil.unfinished import Bounded
from tests.vigil.world import DOMAIN, MODES, World, certificate_secret, secret, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Edit = "Callable[[core.ServiceSpecConfig], object]"


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.feed.put(secret("key", b"s3cret"), secret("empty", b""), secret("bad", b"a\r\nb"))
        yield made


def compiled(here: World, config: core.ServiceSpecConfig, **spec: Any) -> Configuration:
    return compile_configuration(service(**spec), config, here.environment)


def config(url: str = "http://a.example") -> core.ServiceSpecConfig:
    made = core.ServiceSpecConfig()
    made.upstream.url = url
    return made


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c.http.plugins.add(name="p").rate_limit.SetInParent(),
        lambda c: setattr(c.http, "enable_request_buffering", True),
        lambda c: setattr(c.http.body, "max_request_size", 5),
        lambda c: setattr(c.http.body.validation.json_schema, "inline", "{}"),
        lambda c: setattr(c.http.auth.oauth2_client_credentials, "client_id", "x"),
        lambda c: setattr(c.http.auth.sigv4, "region", "x"),
        lambda c: c.kubernetes.SetInParent(),
        lambda c: c.mcp.SetInParent(),
        lambda c: c.llm.SetInParent(),
        lambda c: setattr(c.upstream, "user", "alice"),
    ],
)
async def test_what_guards_and_is_not_offered_is_refused(
    here: World, edit: Callable[[core.ServiceSpecConfig], object]
) -> None:
    made = config()
    edit(made)
    problem = compiled(here, made).problem
    assert problem is not None
    assert problem.status == 500
    assert str(problem).endswith("is not offered by this version")


async def test_what_only_adds_is_left_out(here: World) -> None:
    made = config()
    made.http.retry.max_retries = 3
    made.http.visibility.enable_request_body = True
    made.http.plugins.add(name="p", is_disabled=True).lua.inline = "x"
    assert compiled(here, made).problem is None


async def test_a_refused_feature_on_the_wire(here: World, caplog: pytest.LogCaptureFixture) -> None:
    made = here.serve()
    made.spec.config.http.plugins.add(name="p").rate_limit.SetInParent()
    here.feed.put(made)
    reply = await here.request()
    assert reply.status == 500
    assert here.origins.requests == []
    assert here.sink.records[0].error == "an HTTP plugin is not offered by this version"
    assert "wiki.default" in caplog.text
    assert (await here.request(token=None)).status == 401


async def test_upstream_credentials(here: World) -> None:
    def bearer(c: core.ServiceSpecConfig) -> None:
        c.http.auth.bearer.from_secret = "key"

    def basic(c: core.ServiceSpecConfig) -> None:
        c.http.auth.basic.username = "me"
        c.http.auth.basic.password.from_secret = "key"

    def custom(c: core.ServiceSpecConfig) -> None:
        c.http.auth.custom.header = "X-Key"
        c.http.auth.custom.value.from_secret = "key"

    pair = base64.b64encode(b"me:s3cret")
    for edit, field in (
        (bearer, (b"authorization", b"Bearer s3cret")),
        (basic, (b"authorization", b"Basic " + pair)),
        (custom, (b"x-key", b"s3cret")),
    ):
        made = here.serve()
        edit(made.spec.config)
        here.feed.put(made)
        reply = await here.request(fields={"X-Key": "mine"})
        assert reply.status == 200
        fields = here.upstream_fields()
        assert [one for one in fields if one[0] == field[0]] == [field]
        assert b"s3cret" not in reply.raw


@pytest.mark.parametrize(
    ("name", "problem"),
    [("none", "does not exist"), ("empty", "is empty"), ("bad", "cannot stand")],
)
async def test_a_missing_secret_is_never_no_secret(
    here: World, name: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = here.serve()
    made.spec.config.http.auth.bearer.from_secret = name
    here.feed.put(made)
    reply = await here.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    assert here.origins.requests == []
    (record,) = here.sink.records
    assert record.status == 502
    assert problem in record.error
    assert name in caplog.text


@pytest.mark.parametrize("value", [b"a\r\nb", b"a\n\n", b"a\0b", b"\x7f"])
@pytest.mark.parametrize("kind", ["bearer", "basic", "custom"])
async def test_what_no_upstream_credential_may_contain(
    here: World, kind: str, value: bytes
) -> None:
    here.feed.put(secret("lines", value))
    made = config()
    http = made.http
    if kind == "bearer":
        http.auth.bearer.from_secret = "lines"
    elif kind == "basic":
        http.auth.basic.password.from_secret = "lines"
    else:
        http.auth.custom.header = "X-Key"
        http.auth.custom.value.from_secret = "lines"
    problem = compiled(here, made).problem
    assert problem is not None
    assert problem.status == 502


async def test_the_key_of_a_certificate_goes_nowhere(here: World) -> None:
    here.feed.put(certificate_secret(DOMAIN))
    made = here.serve()
    made.spec.config.http.auth.basic.username = "me"
    made.spec.config.http.auth.basic.password.from_secret = "crt-ns-default"
    here.feed.put(made)
    assert (await here.request()).status == 502
    assert here.origins.requests == []
    client = config("https://a.example")
    client.tls.client_certificate.from_secret = "crt-ns-default"
    problem = compiled(here, client).problem
    assert problem is not None
    assert "does not exist" in str(problem)


async def test_a_secret_that_changes(here: World) -> None:
    made = here.serve()
    made.spec.config.http.auth.bearer.from_secret = "key"
    here.feed.put(made)
    client = await here.connect()
    for value in (b"one", b"two"):
        here.feed.put(secret("key", value))
        assert (await client.request()).status == 200
        assert dict(here.upstream_fields())[b"authorization"] == b"Bearer " + value
    here.feed.delete(secret("key", b""))
    assert (await client.request()).status == 502


async def test_a_direct_answer(here: World) -> None:
    made = core.ServiceSpecConfig()
    made.http.response.direct.inline = "<p>hi</p>"
    made.http.response.direct.content_type = "text/html"
    configuration = compiled(here, made)
    assert configuration.problem is None
    answer = configuration.answer(front=True)
    assert (answer.status, answer.body) == (200, b"<p>hi</p>")
    assert dict(answer.block.fields) == {
        b"content-length": b"9",
        b"content-type": b"text/html",
        b"server": b"octelium",
        b"strict-transport-security": b"max-age=2592000",
    }
    made.http.response.direct.status_code = 204
    assert b"content-length" not in dict(compiled(here, made).answer(front=True).block.fields)
    made.http.response.direct.status_code = 101
    assert compiled(here, made).problem is not None


async def test_a_direct_answer_on_the_wire(here: World) -> None:
    made = service()
    made.spec.config.http.response.direct.inline_bytes = b"\x00\x01"
    made.spec.config.http.response.direct.status_code = 418
    here.feed.put(made)
    reply = await here.request()
    assert (reply.status, reply.body) == (418, b"\x00\x01")
    assert here.sink.records[0].status == 418
    assert (await here.request(token=None)).status == 401


@pytest.mark.parametrize(
    ("edit", "host"),
    [
        (lambda h: None, None),
        (lambda h: setattr(h, "preserve", True), f"wiki.{DOMAIN}"),
        (lambda h: setattr(h, "value", "other.example:81"), "other.example:81"),
        (lambda h: setattr(h, "eval", '"e." + ctx.service.metadata.name'), "e.wiki.default"),
        (lambda h: setattr(h, "eval", '""'), None),
    ],
)
async def test_the_host_that_the_upstream_sees(
    here: World, edit: Callable[[Any], object], host: str | None
) -> None:
    made = here.serve()
    edit(made.spec.config.http.header.host)
    here.feed.put(made)
    assert (await here.request(host=f"WIKI.default.{DOMAIN}:1")).status == 200
    expected = host or f"127.0.0.1:{here.origins.port}"
    assert dict(here.upstream_fields())[b"host"] == expected.encode()


async def test_a_host_that_is_none(here: World) -> None:
    made = here.serve()
    made.spec.config.http.header.host.value = "a b"
    here.feed.put(made)
    assert (await here.request()).status == 500
    assert here.origins.requests == []
    for useless in ('"a b"', "ctx.nothing", "1 / 0", "1", "ctx.user"):
        made.spec.config.http.header.host.eval = useless
        here.feed.put(made)
        assert (await here.request()).status == 200
        own = f"127.0.0.1:{here.origins.port}"
        assert dict(here.upstream_fields())[b"host"] == own.encode()


async def test_header_rules_on_the_wire(here: World) -> None:
    made = here.serve()
    header = made.spec.config.http.header
    header.add_request_headers.add(key="X-Who", eval="ctx.user.metadata.name")
    header.add_request_headers.add(key="X-Fixed", value="v")
    header.remove_request_headers.append("Accept")
    header.add_response_headers.add(key="X-Out", value="o")
    header.add_response_headers.add(key="X-Path", eval="ctx.request.http.path")
    header.remove_response_headers.append("X-In")
    here.feed.put(made)
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nX-In: 1\r\nContent-Length: 0\r\n\r\n"] * 2
    for path in ("/one", "/two"):
        reply = await here.request(path, fields={"Accept": "x", "X-Who": "forged"})
        assert reply.first(b"x-out") == b"o"
        assert reply.first(b"x-path") == path.encode()
        assert reply.first(b"x-in") is None
        fields = dict(here.upstream_fields())
        assert fields[b"x-who"] == b"alice"
        assert fields[b"x-fixed"] == b"v"
        assert b"accept" not in fields


NINE = "[1,2,3,4,5,6,7,8,9]"
DEAR = (
    f"{NINE}.map(a, {NINE}.map(b, {NINE}.map(c, {NINE}.map(d, {NINE}.map(e, {NINE}.map(f, 'a'))))))"
    "[0][0][0][0][0][0]"
)


@pytest.mark.parametrize(
    "text",
    [
        "ctx.nothing.at.all",
        "ctx.user.spec.nothing",
        "1 / 0",
        "ctx.service.spec.isPublic",
        "1",
        "ctx.user",
        "ctx.user.metadata.name.x",
        "'a\\r\\nX-Injected: 1'",
        DEAR,
    ],
)
async def test_a_header_expression_that_fails_adds_nothing(
    here: World, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = here.serve()
    made.spec.config.http.header.add_request_headers.add(key="X-Who", eval=text)
    made.spec.config.http.header.add_request_headers.add(key="X-Fixed", value="v")
    made.spec.config.http.header.add_response_headers.add(key="X-Out", eval=text)
    here.feed.put(made)
    for _ in range(3):
        reply = await here.request(fields={"X-Who": "forged"})
        assert reply.status == 200
        assert reply.first(b"x-out") is None
        assert reply.first(b"x-injected") is None
        fields = dict(here.upstream_fields())
        assert fields[b"x-fixed"] == b"v"
        assert not {b"x-who", b"x-injected"} & set(fields)
    told = [record for record in caplog.records if "is not applied" in record.message]
    # Once for the request and once for the response, however often it happens.
    assert len(told) == 2


async def test_a_header_expression_that_does_not_compile_refuses(here: World) -> None:
    """The API does not take it; so something else is wrong."""
    made = here.serve()
    made.spec.config.http.header.add_response_headers.add(key="X-Who", eval="syntax error (")
    here.feed.put(made)
    assert (await here.request()).status == 500
    assert here.origins.requests == []


@pytest.mark.parametrize(
    ("remove", "add", "target", "wire"),
    [
        ("/api", "", "/api/x?y", "/x?y"),
        ("/api", "", "/other", "/other"),
        ("", "/v1", "/x", "/v1/x"),
        ("/api", "/v1", "/api/x", "/v1/x"),
        ("/api", "", "/api", "/"),
        ("/api", "", "/apix", "/apix"),
        ("/api", "", "/api%2Fx", "/api%2Fx"),
        ("/api", "", "/api../x", "/api../x"),
        ("/api", "/v1", "/apix", "/v1/apix"),
        ("/api", "", "/api//x", "//x"),
        ("/api/", "", "/api/x", "/x"),
        ("/api/", "", "/apix", "/apix"),
    ],
)
async def test_path_prefixes(here: World, remove: str, add: str, target: str, wire: str) -> None:
    made = here.serve()
    made.spec.config.http.path.remove_prefix = remove
    made.spec.config.http.path.add_prefix = add
    here.feed.put(made)
    await here.request(target)
    assert here.origins.requests[0].startswith(f"GET {wire} HTTP/1.1\r\n".encode())
    assert here.decider.asked[0][1].read(("http", "uri")) == target


async def test_a_prefix_that_leaves_dots(here: World) -> None:
    made = here.serve()
    made.spec.config.http.path.remove_prefix = "/api"
    made.spec.config.http.path.add_prefix = "/v1/.."
    here.feed.put(made)
    assert (await here.request("/api/admin")).status == 400
    assert here.origins.requests == []


async def test_authorization_modes(here: World) -> None:
    modes = core.ServiceSpecConfigHttpHeaderAuthorizationMode__
    made = here.serve()
    made.spec.config.http.header.authorization_mode = modes.PASS
    here.feed.put(made)
    await here.request()
    assert dict(here.upstream_fields())[b"authorization"] == b"Bearer alice"
    anonymous = here.serve(is_anonymous=True)
    await here.request()
    assert dict(here.upstream_fields())[b"authorization"] == b"Bearer alice"
    anonymous.spec.config.http.header.authorization_mode = modes.DELETE
    here.feed.put(anonymous)
    await here.request()
    assert b"authorization" not in dict(here.upstream_fields())


async def test_endpoints_are_picked_by_chance(here: World) -> None:
    made = core.ServiceSpecConfig()
    for port in (1, 2):
        made.upstream.loadbalance.endpoints.add(url=f"http://a:{port}")
    configuration = compiled(here, made)
    picked = set()
    for _ in range(100):
        connections = configuration.endpoint().connections
        assert isinstance(connections, OriginPool)
        picked.add(connections.origin.port)
    assert picked == {1, 2}


async def test_managed_services(here: World) -> None:
    made = service()
    made.status.managed_service.type = "authserver"
    problem = managed_configuration(made, here.environment, grpc=False).problem
    assert problem is not None
    assert "authserver" in str(problem)


async def test_grpc_reads_the_te_field(here: World) -> None:
    assert compiled(here, config(), mode=MODES.GRPC).request.grpc


async def test_some_methods_of_the_api_have_an_origin_of_their_own(here: World) -> None:
    opened: list[tuple[str, bytes, bool]] = []

    class Taking:
        def __init__(self, name: str) -> None:
            self.name = name

        def open(
            self, request: Any, receiver: Any, data: bytes, end: bool, *, fresh: bool = False
        ) -> Any:
            opened.append((self.name, request.target, fresh))

    both = ByTarget({b"/a.S/Last": Taking("apart")}, Taking("rest"))
    for target in (b"/a.S/Last", b"/a.S/Last2", b"/a.S/lAST", b"/a.S/"):
        request: Any = UpstreamRequest(b"POST", target, b"", FieldBlock(()))
        both.open(request, cast("Any", None), b"", False, fresh=target == b"/a.S/")
    assert opened == [
        ("apart", b"/a.S/Last", False),
        ("rest", b"/a.S/Last2", False),
        ("rest", b"/a.S/lAST", False),
        ("rest", b"/a.S/", True),
    ]
    here.managed["apiserver"] = Origin("api", 1, h2=True)
    own = service(mode=MODES.GRPC)
    own.status.managed_service.type = "apiserver"
    (endpoint,) = managed_configuration(own, here.environment, grpc=True).endpoints
    assert isinstance(endpoint.connections, Bounded)
    here.environment.apart = {b"/a.S/Last": Origin("last", 1, h2=True)}
    (endpoint,) = managed_configuration(own, here.environment, grpc=True).endpoints
    assert isinstance(endpoint.connections, ByTarget)
    (endpoint,) = managed_configuration(own, here.environment, grpc=False).endpoints
    assert isinstance(endpoint.connections, OriginPool)
