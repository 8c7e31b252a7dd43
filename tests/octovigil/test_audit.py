from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict

from octelium.octovigil.audit import audit_subject
from octelium.schema.pb import core_v1_pb2 as core
from octelium.visibility.record import AuditSubject
from tests.octovigil.world import World, allow, inline, uid_of

if TYPE_CHECKING:
    from octelium.policy.decision import Decision


def subject(decision: Decision) -> AuditSubject:
    assert isinstance(decision.audit, AuditSubject)
    return decision.audit


def test_an_allowed_request() -> None:
    world = World()
    world.put("Device", "laptop", {"state": "ACTIVE"})
    world.session("ann-1", "ann", device="laptop")
    world.user(authorization=inline(allow(name="main")))
    region = {"regionRef": {"name": "default", "uid": "r"}}
    world.service("wiki.default", status=region)
    made = subject(world.ask())
    assert (made.mode, made.allowed, made.authenticated) == ("HTTP", True, True)
    assert (made.is_public, made.is_anonymous) == (True, False)
    assert made.region == region["regionRef"]
    for name, kind, key in (
        ("service", "Service", "wiki.default"),
        ("namespace", "Namespace", "default"),
        ("session", "Session", "ann-1"),
        ("user", "User", "ann"),
        ("device", "Device", "laptop"),
    ):
        form: Any = getattr(made, name)
        assert form["kind"] == kind
        assert form["uid"] == uid_of(kind, key)
        assert form["name"] == key
    reason = ParseDict(dict(made.reason), core.AccessLogEntryCommonReason())
    assert reason.type == core.AccessLogEntryCommonReasonType__.POLICY_MATCH
    assert reason.details.policy_match.rule_name == "main"
    assert reason.details.policy_match.inline_policy.resource_ref.name == "ann"


def test_a_request_of_nobody() -> None:
    made = subject(World().ask(session=None))
    assert (made.allowed, made.authenticated) == (False, False)
    assert made.session is None
    assert made.user is None
    assert made.device is None
    assert made.reason == {}
    assert made.service is not None
    assert made.namespace is not None


def test_every_decision_has_one_and_shares_it() -> None:
    world = World()
    for decision in (world.ask(), world.ask(session=None)):
        assert subject(decision) is not None
    assert world.ask().audit is world.ask().audit


def test_a_factory_may_be_given() -> None:
    seen: list[Decision] = []

    def factory(decision: Decision) -> object:
        seen.append(decision)
        return "mine"

    world = World(audit_factory=factory)
    decision = world.ask()
    assert decision.audit == "mine"
    assert seen[0].outcome is decision.outcome


@pytest.mark.parametrize("mode", ["HTTP", "WEB", "GRPC", "TCP"])
def test_the_mode_has_its_official_name(mode: str) -> None:
    world = World()
    world.service("x.default", mode=mode)
    assert audit_subject(world.ask("x.default")).mode == mode


def test_a_decision_leaves_a_session_as_it_was() -> None:
    """Parsed resources take several times the memory of their bytes."""
    world = World()
    world.session("ann-1", "ann")
    world.user(authorization=inline(allow(name="main")))
    world.service("wiki.default")
    decision = world.ask()
    assert decision.session is not None
    form: Any = subject(decision).session
    assert form["name"] == "ann-1"
    assert decision.session._message is None
