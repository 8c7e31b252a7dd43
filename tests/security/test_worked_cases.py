"""Worked cases of policy resolution, each a whole request.

Those of HTTP Services come over the wire; connections to Services of other modes are decided as
their own data planes would ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.request import NoRequest
from octelium.replica.arrival import Tunnel
from tests.octovigil.world import HTTP, START, World, allow, deny, inline, stamp, uid_of
from tests.security.deciding import Deciding, deciding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SSH = {"ssh": {"connect": {"user": "root"}}}


@pytest.fixture
async def here() -> AsyncIterator[Deciding]:
    async with deciding() as made:
        yield made


def reason_of(decision: Decision) -> tuple[Outcome, ReasonType]:
    return decision.outcome, decision.reason.type


async def status(here: Deciding, **options: Any) -> int:
    """The status of one request, the same for a second one."""
    first = await here.send(**options)
    assert (await here.send(**options)).status == first.status
    return first.status


# --- who decides


async def test_nothing_attached(here: Deciding) -> None:
    assert await status(here) == 403
    assert reason_of(here.ask()) == (Outcome.DENIED, ReasonType.NO_POLICY_MATCH)
    assert here.received == 0


async def test_a_denial_goes_first_at_equal_priority(here: Deciding) -> None:
    here.policy("allow-all", allow())
    here.user(authorization={"policies": ["allow-all"]})
    assert await status(here) == 200
    here.service("wiki.default", authorization=inline(deny()))
    assert await status(here) == 403
    here.service("wiki.default", authorization=inline(deny(priority=0)))
    here.user(authorization=inline(allow(priority=0)))
    assert await status(here) == 403


async def test_a_lower_number_is_stronger_wherever_it_is_attached(here: Deciding) -> None:
    here.user(authorization=inline(allow(priority=-1)))
    here.service("wiki.default", authorization=inline(deny(priority=0)))
    assert await status(here) == 200
    here.service("wiki.default", authorization=inline(deny(priority=-2)))
    assert await status(here) == 403
    for low, high in zip(range(-4, 4), range(-3, 5), strict=True):
        here.user(authorization=inline(allow(priority=low)))
        here.service("wiki.default", authorization=inline(deny(priority=high)))
        assert await status(here) == 200
        here.user(authorization=inline(allow(priority=high)))
        here.service("wiki.default", authorization=inline(deny(priority=low)))
        assert await status(here) == 403


async def test_one_user_is_let_in_where_others_are_not(here: Deciding) -> None:
    match = "ctx.user.spec.email == 'ann@example.com'"
    here.service("wiki.default", authorization=inline(allow(match, priority=1)))
    here.put("Namespace", "default", {"authorization": inline(deny(priority=2))})
    here.user("bob")
    here.session("bob-1", "bob")
    assert await status(here) == 200
    assert await status(here, session="bob-1") == 403
    details = here.ask(session="bob-1").reason.details["policyMatch"]
    assert details["priority"] == 2
    assert details["inlinePolicy"]["resourceRef"]["kind"] == "Namespace"


async def test_a_dotted_policy_brings_its_parents(here: Deciding) -> None:
    here.policy("base", allow())
    here.policy("dev.base")
    here.put("Group", "team", {"authorization": {"policies": ["dev.base"]}})
    assert await status(here) == 403
    here.user(groups=["team"])
    assert await status(here) == 200
    assert here.ask().reason.details["policyMatch"]["policy"]["policyRef"]["name"] == "base"


def test_a_policy_that_is_ignored_for_a_mode() -> None:
    world = World()
    rule = {"effect": "IGNORE", "condition": {"match": "ctx.service.spec.mode == 'SSH'"}}
    world.policy("not-ssh", deny(), enforcementRules=[rule])
    world.user(authorization={"policies": ["not-ssh"], **inline(allow())})
    world.service("box.default", mode="SSH", isPublic=None)
    assert world.ask("box.default", SSH, tunnel=True).allowed
    assert not world.ask("wiki.default").allowed


async def test_data_of_another_mode_is_no_match(here: Deciding) -> None:
    rules = [deny("ctx.request.http.path.startsWith('/admin')", priority=-1), allow()]
    here.user(authorization=inline(*rules))
    here.service("box.default", mode="SSH", isPublic=None)
    assert here.ask("box.default", SSH, tunnel=True).allowed
    assert await status(here, target="/") == 200
    assert await status(here, target="/admin/users") == 403


async def test_numbers_of_the_context_are_doubles(here: Deciding) -> None:
    match = "ctx.service.spec.port + 1 > 3"
    here.service("wiki.default", port=8080, authorization=inline(allow(match)))
    assert await status(here) == 500
    assert reason_of(here.ask()) == (Outcome.ERROR, ReasonType.TYPE_UNKNOWN_REASON)
    match = "ctx.service.spec.port + 1.0 > 3.0"
    here.service("wiki.default", port=8080, authorization=inline(allow(match)))
    assert await status(here) == 200


async def test_a_token_is_no_way_to_what_is_not_public(here: Deciding) -> None:
    here.user(authorization=inline(allow()))
    here.session("ann-1", "ann", kind="CLIENTLESS")
    assert await status(here) == 200
    here.service("wiki.default", isPublic=None)
    # The front door does not even know it; asked all the same, nobody is recognised.
    assert await status(here) == 404
    assert here.ask().outcome is Outcome.UNAUTHENTICATED
    tunnel = here.ask(tunnel=True)
    assert reason_of(tunnel) == (Outcome.DENIED, ReasonType.SESSION_CLIENT_TYPE_INVALID)


async def test_rights_of_a_session_are_not_the_user_s(here: Deciding) -> None:
    here.put("User", "root", {"type": "WORKLOAD"})
    here.session("root-init", "root", authorization=inline(allow()))
    here.session("root-2", "root")
    assert await status(here, session="root-init") == 200
    assert await status(here, session="root-2") == 403


def test_scopes_bind_what_policies_allow() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.put("Namespace", "octelium-api")
    managed = {"managedService": {"type": "apiserver"}}
    world.service("default.octelium-api", mode="GRPC", status=managed)
    scope = {"service": {"filter": {"names": ["nginx"], "namespaces": ["default"]}}}
    world.session("ann-1", "ann", status={"scopes": [scope]})
    grpc = {
        "package": "octelium.api.main.core.v1",
        "service": "MainService",
        "serviceFullName": "octelium.api.main.core.v1.MainService",
        "method": "ListService",
    }
    decision = world.ask("default.octelium-api", {"grpc": grpc})
    assert reason_of(decision) == (Outcome.DENIED, ReasonType.SCOPE_UNAUTHORIZED)


# --- behaviours that are easy to get wrong


async def test_a_cluster_wide_denial_reaches_every_service(here: Deciding) -> None:
    """Triggers, and the ClusterConfig's own Policies, apply to the Cluster's Services as well."""
    here.user(authorization=inline(allow()))
    here.put("Namespace", "octelium-api")
    managed = {"managedService": {"type": "apiserver"}}
    here.service("default.octelium-api", mode="GRPC", status=managed)
    call = {"grpc": {"method": "GetUser", "http": HTTP["http"]}}
    assert here.ask("default.octelium-api", call).allowed
    for kind in ("ClusterConfig", "PolicyTrigger"):

        def put(rules: dict[str, Any], kind: str = kind) -> None:
            if kind == "ClusterConfig":
                here.put(kind, "default", {"authorization": rules})
            else:
                status = {"preCondition": {"matchAny": True}, **rules}
                here.put(kind, "t", status=status)

        put(inline(deny(priority=-4)))
        assert not here.ask("default.octelium-api", call).allowed
        assert not here.ask().allowed
        put({})
        assert here.ask("default.octelium-api", call).allowed


def test_a_read_only_policy_is_overridden_by_a_stronger_permission() -> None:
    world = World()
    reading = "ctx.request.grpc.method.startsWith('Get')"
    world.policy("read-only", deny(f"!({reading})"), allow(reading, priority=-1))
    world.policy("full", allow(priority=-1))
    call = {"grpc": {"method": "DeleteUser"}}
    world.user(authorization={"policies": ["read-only"], **inline(allow())})
    assert not world.ask(request=call).allowed
    assert world.ask(request={"grpc": {"method": "GetUser"}}).allowed
    world.session("ann-1", "ann", authorization={"policies": ["full"]})
    assert world.ask(request=call).allowed


@pytest.mark.parametrize("action", ["AUTHENTICATION_REQUIRED", "REGISTRATION_REQUIRED"])
def test_a_demanded_authenticator_shuts_everything_but_what_is_anonymous(action: str) -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.put("Namespace", "octelium-api")
    managed = {"managedService": {"type": "apiserver"}}
    world.service("default.octelium-api", mode="GRPC", status=managed)
    world.service("auth.octelium-api", mode="GRPC", isAnonymous=True, status=managed)
    world.session("ann-1", "ann", status={"authenticatorAction": action})
    call = {"grpc": {"method": "GetStatus"}}
    for service in ("wiki.default", "default.octelium-api"):
        assert not world.ask(service, call).allowed
    assert world.ask("auth.octelium-api", call).allowed


@pytest.mark.parametrize("state", ["PENDING", "REJECTED"])
@pytest.mark.parametrize("tunnel", [False, True])
def test_a_device_that_is_not_active_shuts_the_whole_session(state: str, tunnel: bool) -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.put("Device", "laptop", {"state": state})
    world.session("ann-1", "ann", device="laptop")
    decision = world.ask(tunnel=tunnel)
    assert reason_of(decision) == (Outcome.DENIED, ReasonType.DEVICE_NOT_ACTIVE)


def test_a_tunnel_does_not_outlast_its_access_token() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.now = START + 3599
    assert world.ask(tunnel=True).allowed
    world.now = START + 3600
    decision = world.ask(tunnel=True)
    assert reason_of(decision) == (Outcome.DENIED, ReasonType.ACCESS_TOKEN_EXPIRED)
    world.session("ann-1", "ann", set_at=world.now, expiresAt=stamp(START + 90_000))
    assert world.ask(tunnel=True).allowed


async def test_groups_count_in_the_user_s_list_only(here: Deciding) -> None:
    here.put("Group", "team", {"authorization": inline(allow())})
    assert await status(here) == 403
    here.user(groups=["team"])
    assert await status(here) == 200


def test_a_credential_s_policies_are_those_that_the_session_has() -> None:
    """What is attached is what stands in the Session, whatever its Credential says."""
    world = World()
    credential = {"credentialRef": {"name": "c", "uid": uid_of("Credential", "c")}}
    world.session("ann-1", "ann", status=credential, authorization=inline(allow()))
    assert world.ask().allowed
    world.session("ann-1", "ann", status=credential)
    assert not world.ask().allowed


# --- what conditions see


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        # Numbers are doubles, which compare with numbers of every type.
        ("ctx.service.spec.port == 8080", True),
        ("ctx.service.spec.port == 8080u && ctx.service.spec.port == 8080.0", True),
        ("ctx.service.spec.port > 80 && ctx.service.spec.port < 9000u", True),
        ("type(ctx.service.spec.port) == double", True),
        ("ctx.service.spec.port in [1, 8080]", True),
        ("int(ctx.service.spec.port) + 1 == 8081", True),
        ("string(ctx.service.spec.port) == '8080'", True),
        ("ctx.user.spec.attrs.level == 3 && type(ctx.user.spec.attrs.level) == double", True),
        # 64-bit integers are texts.
        ("ctx.request.http.size == '12'", True),
        ("int(ctx.request.http.size) > 10", True),
        ("ctx.request.http.size == 12", False),
        # So are instants and enums; bytes are base64.
        ("type(ctx.session.spec.expiresAt) == string", True),
        ("timestamp(ctx.session.spec.expiresAt) > now()", True),
        ("ctx.user.spec.type == 'HUMAN'", True),
        ("ctx.user.spec.type == 1", False),
        ("ctx.session.status.type == 'CLIENT'", True),
        ("ctx.service.spec.mode == 'HTTP'", True),
        ("base64.decode(ctx.service.spec.config.http.response.direct.inlineBytes) == b'hi'", True),
        # Durations keep the form that they were given.
        ("ctx.session.status.authentication.accessTokenDuration.hours == 1", True),
        # What has its default value is absent.
        ("has(ctx.user.spec.isDisabled)", False),
        ("ctx.user.spec.isDisabled == false", False),
        ("!has(ctx.user.spec.isDisabled)", True),
        ("!(ctx.user.spec.isDisabled == true)", False),
        ("has(ctx.groups)", False),
        ("size(ctx.groups) == 0", False),
        ("has(ctx.user.spec.groups)", False),
        ("has(ctx.user.metadata.labels)", False),
        ("has(ctx.device)", False),
        ("ctx.device.spec.state != 'ACTIVE'", False),
        # Capitals of names are the schema's, keys of attrs the writer's.
        ("ctx.service.spec.isTLS", True),
        ("ctx.session.status.authentication.tokenID != ''", True),
        ("has(ctx.service.spec.isTls)", False),
        ("ctx.user.spec.attrs['snake_case'].CamelCase == true", True),
        # A message that is set is there, however empty.
        ("ctx.user.spec.attrs.empty == {}", True),
    ],
)
def test_values_of_the_context(match: str, expected: bool) -> None:
    world = World()
    attrs = {"level": 3, "snake_case": {"CamelCase": True}, "empty": {}}
    world.put(
        "User", "ann", {"type": "HUMAN", "attrs": attrs, "authorization": inline(allow(match))}
    )
    direct = {"http": {"response": {"direct": {"inlineBytes": "aGk="}}}}
    world.service("wiki.default", port=8080, isTLS=True, config=direct)
    http = {**HTTP["http"], "size": "12"}
    decision = world.ask(request={"http": http})
    assert decision.allowed is expected, decision.error
    assert decision.outcome in {Outcome.ALLOWED, Outcome.DENIED}


def test_a_connection_without_a_request_object() -> None:
    world = World()
    world.user(authorization=inline(allow("!has(ctx.request.http)"), allow("has(ctx.request)")))
    world.service("db.default", mode="TCP", isPublic=None)
    tunnel = Tunnel(uid_of("Session", "ann-1"), "100.65.0.2")

    def ask() -> Decision:
        decision = world.octovigil.decide(world.entry("db.default"), NoRequest(), tunnel)
        assert isinstance(decision, Decision)
        return decision

    assert reason_of(ask()) == (Outcome.DENIED, ReasonType.NO_POLICY_MATCH)
    world.user(authorization=inline({"effect": "ALLOW", "condition": {"not": "has(ctx.request)"}}))
    assert ask().allowed


# --- what the client sees

BROWSER = {"Accept": "text/html", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}


@pytest.mark.parametrize("mode", ["HTTP", "WEB"])
async def test_what_a_client_sees_of_a_refusal(here: Deciding, mode: str) -> None:
    here.service("wiki.default", mode=mode)
    denied = await here.send()
    nobody = await here.send(session=None)
    assert (denied.status, nobody.status) == (403, 401)
    person = await here.send("/a?b=c", fields=BROWSER)
    assert person.status == 303
    location = person.first(b"location") or b""
    assert location.startswith(b"https://example.com/denied")
    browser = await here.send("/a?b=c", session=None, fields=BROWSER)
    assert browser.status == 303
    location = browser.first(b"location") or b""
    back = b"https%3A%2F%2Fwiki.example.com%2Fa%3Fb%3Dc"
    assert location == b"https://example.com/login?redirect=" + back
    for reply in (denied, nobody, person, browser):
        assert reply.first(b"x-octelium-unauthorized") == b"true"
    here.put("User", "ann", {"type": "WORKLOAD"})
    assert (await here.send(fields=BROWSER)).status == 403
    assert here.received == 0


@pytest.mark.parametrize("fields", [{}, BROWSER])
async def test_nobody_is_sent_to_log_in_where_nobody_needs_to(
    here: Deciding, fields: dict[str, str]
) -> None:
    """Under Policies for everybody a refusal is always the 403."""
    anonymous: dict[str, Any] = {"isAnonymous": True, "authorization": {"enableAnonymous": True}}
    here.service("wiki.default", **anonymous)
    reply = await here.send(session=None, fields=fields)
    assert reply.status == 403
    assert reply.first(b"x-octelium-unauthorized") == b"true"
    here.put("Namespace", "default", {"authorization": inline(allow())})
    assert (await here.send(session=None)).status == 200


async def test_a_disabled_service_is_so_for_everybody(here: Deciding) -> None:
    here.user(authorization=inline(allow()))
    here.service("wiki.default", isDisabled=True)
    for session in ("ann-1", None):
        assert (await here.send(session=session)).status == 503
    assert here.received == 0


async def test_changes_count_for_the_next_request(here: Deciding) -> None:
    """There is no cache to outlive them: each change is put and asked about at once."""
    here.user(authorization={"policies": ["p"]}, groups=["team"])
    here.put("Group", "team")
    for _ in range(3):
        here.policy("p", allow())
        assert (await here.send()).status == 200
        here.policy("p", deny())
        assert (await here.send()).status == 403
        here.put("Group", "team", {"authorization": inline(allow(priority=-1))})
        assert (await here.send()).status == 200
        here.put("Group", "team")
        assert (await here.send()).status == 403
        here.remove("Policy", "p")
        assert (await here.send()).status == 500
        here.policy("p", allow())
        here.session("ann-1", "ann", state="PENDING")
        assert (await here.send()).status == 403
        here.session("ann-1", "ann")
        assert (await here.send()).status == 200
