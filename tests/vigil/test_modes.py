from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.http.h1.requests import parse_request
from octelium.http.pool import Origin
from octelium.http.section import parse_section
from octelium.http.target import normalise
from octelium.ingress.settings import Settings
from octelium.policy.decision import Outcome
from octelium.schema.modes import HTTP_MODES, SERVED_MODES
from octelium.vigil.modes import MODES as REGISTRY
from tests.http import certs
from tests.vigil.world import (
    DOMAIN,
    MODES,
    World,
    certificate_secret,
    contained,
    containers,
    service,
    world,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

METHOD = "/a.b.Echo/Call"


def test_everybody_knows_what_is_served() -> None:
    assert set(REGISTRY) == SERVED_MODES & HTTP_MODES


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (METHOD, ("a.b.Echo", "Call")),
        ("/a.B/c", ("a.B", "c")),
        ("/Echo/Call", None),
        ("/a.b.Echo", None),
        ("/a.b.Echo/", None),
        ("/a.b.Echo/Call/more", None),
        ("/a.b.Echo/Call?x=1", None),
        ("//a.b.Echo/Call", None),
        ("/a..Echo/Call", None),
        ("/a.b.Echo/C%61ll", ("a.b.Echo", "Call")),
        ("/a.b.Echo/C%20ll", None),
        ("/", None),
    ],
)
def test_names_of_calls(path: str, names: tuple[str, str] | None) -> None:
    head = parse_request(f"POST {path} HTTP/1.1".encode(), parse_section(b"Host: a\r\n"), b"https")
    request: Any = REGISTRY[MODES.GRPC].request(head, normalise(head.target), None, "", "a")
    if names is None:
        assert request is None
    else:
        assert (request.service_full_name, request.method) == names


class EchoService(grpc.GenericRpcHandler):
    """Methods of raw bytes: `Call` echoes, `Fail` fails, `Talk` echoes a stream."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str | bytes]] = []

    def service(self, details: Any) -> Any:
        self.metadata.append(dict(details.invocation_metadata))
        if details.method.endswith("/Talk"):
            return grpc.stream_stream_rpc_method_handler(self.talk)
        if details.method.endswith("/Fail"):
            return grpc.unary_unary_rpc_method_handler(self.fail)
        return grpc.unary_unary_rpc_method_handler(self.call)

    async def call(self, request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("x-trailer", "t"),))
        return request

    async def fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "changed")
        raise AssertionError

    async def talk(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


class Calls:
    """A gRPC server behind a Service `echo`, and a client in front."""

    def __init__(
        self, here: World, echo: EchoService, channel: grpc.aio.Channel, port: int
    ) -> None:
        self.here = here
        self.port = port
        self.echo = echo
        self.channel = channel

    async def call(
        self, method: str = METHOD, token: str | None = "alice", data: bytes = b"x"
    ) -> Any:
        metadata = () if token is None else (("x-octelium-auth", token),)
        method_: Any = self.channel.unary_unary(method)
        call = method_(data, metadata=metadata, timeout=60)
        return await call, await call.trailing_metadata()

    def talk(self) -> Any:
        """A stream in both directions."""
        method: Any = self.channel.stream_stream("/a.b.Echo/Talk")
        return method(metadata=(("x-octelium-auth", "alice"),), timeout=60)


@pytest.fixture
async def calls(tmp_path: Path) -> AsyncIterator[Calls]:
    echo = EchoService()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((echo,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.add_insecure_port(f"unix:{tmp_path}/api")
    await server.start()
    async with world(Settings()) as here:
        here.feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}"))
        here.feed.put(service("echo.default", f"http://127.0.0.1:{port}", mode=MODES.GRPC))
        here.managed["apiserver"] = Origin("", 0, path=f"{tmp_path}/api", h2=True)
        name = f"echo.{DOMAIN}"
        options = (("grpc.ssl_target_name_override", name), ("grpc.default_authority", name))
        credentials = grpc.ssl_channel_credentials(certs.ca().chain)
        target = f"127.0.0.1:{here.port}"
        async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
            yield Calls(here, echo, channel, port)
        await server.stop(None)


async def test_a_call(calls: Calls) -> None:
    result, trailers = await calls.call(data=b"x" * 200_000)
    assert result == b"x" * 200_000
    assert ("x-trailer", "t") in tuple(trailers)
    (record,) = calls.here.sink.records
    assert (record.grpc_status, record.status, record.version) == (0, 200, 20)
    assert record.target == METHOD.encode()
    seen = calls.echo.metadata[0]
    assert "x-octelium-auth" not in seen
    _, request, _ = calls.here.decider.asked[0]
    assert request.read(("grpc", "serviceFullName")) == "a.b.Echo"


async def test_a_call_that_fails_at_the_upstream(calls: Calls) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls.call("/a.b.Echo/Fail")
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert caught.value.details() == "changed"
    assert calls.here.sink.records[0].grpc_status == 11


@pytest.mark.parametrize(
    ("token", "outcome", "code", "details"),
    [
        (None, Outcome.ALLOWED, grpc.StatusCode.UNAUTHENTICATED, "Octelium: Unauthenticated"),
        ("alice", Outcome.DENIED, grpc.StatusCode.PERMISSION_DENIED, "Octelium: Unauthorized"),
    ],
)
async def test_refusals(
    calls: Calls, token: str | None, outcome: Outcome, code: grpc.StatusCode, details: str
) -> None:
    calls.here.decider.verdict = outcome
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls.call(token=token)
    assert (caught.value.code(), caught.value.details()) == (code, details)
    marks = [*caught.value.initial_metadata(), *caught.value.trailing_metadata()]
    assert ("x-octelium-unauthorized", "true") in marks
    assert calls.echo.metadata == []


async def test_a_container(calls: Calls) -> None:
    name, put = "echo.default", calls.here.feed.put
    put(contained(name, mode=MODES.GRPC))
    for state in ("Starting", ("127.0.0.1", calls.port), "CrashLoopBackOff"):
        put(containers(name=name, own=state))
        if isinstance(state, tuple):
            assert (await calls.call())[0] == b"x"
            continue
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calls.call()
        # What clients try again (gRPC over HTTP2, "HTTP2 Transport Mapping").
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [record.status for record in calls.here.sink.records] == [503, 200, 503]


async def test_what_is_no_call(calls: Calls) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls.call("/Echo/Call")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "Octelium: unimplemented"
    assert calls.here.decider.asked == []


async def test_talking_in_both_directions(calls: Calls) -> None:
    stream = calls.talk()
    for number in range(5):
        await stream.write(b"%d" % number)
        assert await stream.read() == b"%d" % number
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_stream_whose_access_ends(calls: Calls) -> None:
    here = calls.here
    stream = calls.talk()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    here.decider.revoke(here.entry("echo.default"))
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()


async def test_a_managed_service_on_a_unix_socket(calls: Calls) -> None:
    made = service("echo.default", mode=MODES.GRPC)
    made.status.managed_service.type = "apiserver"
    made.metadata.system_labels["apiserver-path"] = "/a.b"
    calls.here.feed.put(made)
    assert (await calls.call())[0] == b"x"
    seen = calls.echo.metadata[0]
    assert seen["x-octelium-session-uid"] == "uid-session"
    assert '"name":"alice-1"' in str(seen["x-octelium-session-ref"])
    assert seen["x-octelium-auth"] == "alice"
    assert seen["x-octelium-client-address"] == "127.0.0.1"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls.call("/c.d.Other/Call")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
