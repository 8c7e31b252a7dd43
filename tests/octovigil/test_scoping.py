from __future__ import annotations

from typing import Any

import pytest

from octelium.identity.scopes import parse_scopes
from octelium.octovigil.scoping import covers_call, covers_service, depends_on_call
from octelium.octovigil.triggers import Parties
from octelium.policy.decision import Outcome, ReasonType
from octelium.schema.jsonform import to_json
from tests.octovigil.world import World, allow, inline

LIST = {
    "package": "octelium.api.main.core.v1",
    "service": "MainService",
    "serviceFullName": "octelium.api.main.core.v1.MainService",
    "method": "ListService",
}


def world(*scopes: str) -> World:
    made = World()
    made.user(authorization=inline(allow()))
    status = {"scopes": [to_json(scope) for scope in parse_scopes(scopes)]} if scopes else {}
    made.session("ann-1", "ann", status=status)
    made.put("Namespace", "octelium-api")
    made.put("Namespace", "prod")
    made.service("shop.prod")
    made.service(
        "default.octelium-api", mode="GRPC", status={"managedService": {"type": "apiserver"}}
    )
    return made


@pytest.mark.parametrize(
    ("scopes", "service", "covered"),
    [
        ((), "wiki.default", True),
        (("service:*",), "wiki.default", True),
        (("service:*",), "default.octelium-api", True),
        (("service:wiki",), "wiki.default", True),
        (("service:wiki",), "shop.prod", False),
        (("service:shop.prod",), "shop.prod", True),
        (("service:prod/*",), "shop.prod", True),
        (("service:prod/*",), "wiki.default", False),
        (("service:wiki", "service:shop.prod"), "shop.prod", True),
        (("api:*",), "wiki.default", False),
        (("service:nginx",), "default.octelium-api", False),
        (("api:*",), "default.octelium-api", True),
        (("api:core",), "default.octelium-api", True),
        (("api:user",), "default.octelium-api", False),
        (("api:core.MainService",), "default.octelium-api", True),
        (("api:core.OtherService",), "default.octelium-api", False),
        (("api:core.MainService/ListService",), "default.octelium-api", True),
        (("api:core.MainService/GetService",), "default.octelium-api", False),
    ],
)
def test_scopes(scopes: tuple[str, ...], service: str, covered: bool) -> None:
    decision = world(*scopes).ask(service, {"grpc": LIST, "http": {}})
    if covered:
        assert decision.allowed
    else:
        assert decision.outcome is Outcome.DENIED
        assert decision.reason.type is ReasonType.SCOPE_UNAUTHORIZED


@pytest.mark.parametrize(
    "request_form",
    [
        {},
        {"http": {"path": "/octelium.api.main.core.v1.MainService/ListService"}},
        {"grpc": {}},
        {"grpc": {**LIST, "method": None}},
        {"grpc": {key: LIST[key] for key in ("package", "service")}},
        {"grpc": "text"},
    ],
)
def test_a_call_that_is_not_named_is_not_covered(request_form: dict[str, Any]) -> None:
    decision = world("api:*").ask("default.octelium-api", request_form)
    assert decision.reason.type is ReasonType.SCOPE_UNAUTHORIZED


def test_scopes_of_calls_count_for_the_api_alone() -> None:
    made = world("api:*")
    made.service("fake.prod", mode="GRPC", status={"managedService": {"type": "apiserver"}})
    made.service("own.octelium-api", mode="GRPC")
    for name in ("fake.prod", "own.octelium-api"):
        assert not depends_on_call(made.entry(name))
        decision = made.ask(name, {"grpc": LIST})
        assert decision.reason.type is ReasonType.SCOPE_UNAUTHORIZED


def test_methods_are_told_apart_after_each_other() -> None:
    made = world("api:core.MainService/ListService")
    for method, covered in (
        ("ListService", True),
        ("DeleteService", False),
        ("ListService", True),
    ) * 2:
        decision = made.ask("default.octelium-api", {"grpc": {**LIST, "method": method}})
        assert decision.allowed is covered


def test_parts() -> None:
    made = world("api:*")
    session = next(iter(made.replica.sessions.values()))
    api = made.entry("default.octelium-api")
    assert not covers_service(session, api)
    assert depends_on_call(api)
    assert covers_call(Parties(api, session=session), {"grpc": LIST})
    assert not covers_call(Parties(api, session=session), None)
    assert not covers_call(Parties(api), {"grpc": LIST})
