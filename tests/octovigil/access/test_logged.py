"""Single logged requests in one world; `test_preview` compares two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.access.domains import Verdict
from octelium.octovigil.access.logged import Deciding, LoggedRequest
from octelium.octovigil.access.parties import Recalled
from octelium.octovigil.access.world import Workshop
from octelium.octovigil.access.world import World as Seen
from octelium.policy.decision import Decision
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from tests.octovigil.world import World, allow, deny, inline, uid_of

if TYPE_CHECKING:
    from octelium.octovigil.access.outcome import Outcome


def decided(world: World, **fields: Any) -> Outcome:
    given = {
        "id": "1",
        "at": world.now,
        "service": uid_of("Service", "wiki.default"),
        "session": uid_of("Session", "ann-1"),
        "user": uid_of("User", "ann"),
        "request": {"http": {"method": "GET", "path": "/", "headers": {"x": "1"}}},
    }
    logged = LoggedRequest(**{**given, **fields})
    seen = Seen(world.replica, Workshop(world.now))
    deciding = Deciding(seen)
    offer = deciding.offer(logged)
    assert offer is not None
    recalled = Recalled(seen.workshop.parts, logged.request, logged.unknown, logged.at)
    return deciding.outcome(logged, recalled, deciding.asker(logged, offer), offer)


@pytest.mark.parametrize(
    "rules",
    [
        [allow("ctx.request.http.method == 'GET'")],
        [allow(), deny("ctx.request.http.path.startsWith('/')")],
        [allow("ctx.request.http.headers['x'] == '1'")],
        [allow("size(ctx.request.http.headers) == 1 && ctx.request == ctx.request")],
        [allow("json.marshal(ctx).contains('GET')")],
        [allow("ctx.session.metadata.name == 'ann-1'"), deny("has(ctx.request.ip)")],
        [allow("ctx.request.http.method + 1 == 2"), allow(priority=1)],
    ],
)
def test_a_request_that_is_known_in_full(rules: list[dict[str, Any]]) -> None:
    world = World()
    world.user(authorization=inline(*rules))
    request = {"http": {"method": "GET", "path": "/", "headers": {"x": "1"}}}
    expected = Verdict.ALWAYS if world.ask(request=request).allowed else Verdict.NEVER
    assert decided(world).verdict is expected


@pytest.mark.parametrize("path", ["", "http", "http.path", "http.headers", "http.method"])
def test_what_is_open_to_two_readings_is_refused_as_the_decision_point_does(path: str) -> None:
    world = World()
    repeated = frozenset({tuple(path.split(".")) if path else ()})
    world.service("wiki.default", isPublic=True)
    for match in (
        "ctx.request.http.path != '/x'",
        "ctx.request.http.headers['x'] != '2'",
        "ctx.request.http.method == 'GET'",
        "size(ctx.request.http) > 1",
        "true",
    ):
        world.user(authorization=inline(allow(match)))
        request = DictRequest(
            {"http": {"method": "GET", "path": "/", "headers": {"x": "1"}}},
            token=world.token(),
            repeated=repeated,
        )
        decision = world.octovigil.decide(world.entry(), request, FrontDoor("192.0.2.7", 1))
        assert isinstance(decision, Decision)
        expected = Verdict.ALWAYS if decision.allowed else Verdict.NEVER
        assert decided(world, repeated=repeated).verdict is expected, (match, decision)


def test_scopes_cover_a_known_call_or_not() -> None:
    world = World()
    world.put("Namespace", "octelium-api")
    world.service("api.octelium-api", mode="GRPC", status={"managedService": {"type": "apiserver"}})
    scope = {"api": {"filter": {"packages": ["a.b"], "services": ["*"], "methods": ["*"]}}}
    world.session("ann-1", "ann", authorization=inline(allow()), status={"scopes": [scope]})
    for package, verdict in (("a.b", Verdict.ALWAYS), ("a.c", Verdict.NEVER)):
        grpc = {"package": package, "service": "S", "method": "M"}
        service = uid_of("Service", "api.octelium-api")
        assert decided(world, service=service, request={"grpc": grpc}).verdict is verdict
