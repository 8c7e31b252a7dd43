"""Whole decisions: identity, changes and worked cases."""

from __future__ import annotations

import pytest

from octelium.identity.tokens import TokenType
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor, Tunnel
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.visibility.record import AuditSubject
from tests.octovigil.world import (
    HTTP,
    START,
    World,
    allow,
    deny,
    inline,
    stamp,
    uid_of,
)


def open_world() -> World:
    world = World()
    world.user(authorization=inline(allow()))
    return world


# --- identity


def test_an_access_token_at_the_front_door() -> None:
    decision = open_world().ask()
    assert decision.allowed
    assert decision.session is not None
    assert decision.session.name == "ann-1"
    assert decision.user is not None
    assert decision.user.name == "ann"
    assert decision.config_name == "default"
    assert decision.config is not None


def test_a_tunnel_needs_no_token_and_heeds_none() -> None:
    world = open_world()
    world.session("bob-1", "bob")
    world.user("bob")
    assert world.ask(tunnel=True).allowed
    decision = world.ask(tunnel=True, session="bob-1", token=world.token("ann-1"))
    assert decision.session is not None
    assert decision.session.name == "bob-1"
    assert not decision.allowed


def test_who_is_refused_without_a_decision() -> None:
    world = open_world()
    refusal = world.octovigil.refused(
        world.entry(), Tunnel(uid_of("Session", "ann-1"), "100.65.0.7")
    )
    assert refusal.outcome is Outcome.DENIED
    assert refusal.user is not None
    assert refusal.user.name == "ann"
    subject = refusal.audit
    assert isinstance(subject, AuditSubject)
    assert (subject.allowed, subject.authenticated) == (False, True)
    assert subject.session is not None
    assert subject.session["name"] == "ann-1"
    assert subject.namespace is not None
    nobody = world.octovigil.refused(world.entry(), Tunnel("gone", "100.65.0.7"))
    assert nobody.user is None
    assert nobody.session is None
    assert nobody.audit is not None


@pytest.mark.parametrize(
    "case",
    ["none", "empty", "garbage", "refresh", "credential", "other id", "expired", "nobody", "bytes"],
)
def test_tokens_that_do_not_count(case: str) -> None:
    world = open_world()
    tokens = {
        "none": None,
        "empty": b"",
        "garbage": b"x" * 180,
        "refresh": world.token(kind=TokenType.REFRESH),
        "credential": world.token(kind=TokenType.CREDENTIAL),
        "other id": world.token(token_id=uid_of("token", "other")),
        "expired": world.token(expires_at=START),
        "nobody": world.token("nobody"),
        "bytes": world.token()[:-1] + b"\xff",
    }
    request = DictRequest(HTTP, token=tokens[case])
    decision = world.octovigil.settle(world.entry(), request, FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.UNAUTHENTICATED
    assert decision.session is None
    assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON


def test_a_token_counts_for_public_services_only() -> None:
    world = open_world()
    world.service("box.default", isPublic=None)
    assert world.ask("box.default").outcome is Outcome.UNAUTHENTICATED
    assert world.ask("box.default", tunnel=True).allowed
    world.service("box.default", mode="TCP", isPublic=True)
    assert world.ask("box.default").outcome is Outcome.UNAUTHENTICATED


def test_a_tunnel_of_nobody() -> None:
    world = open_world()
    assert world.ask(tunnel=True, session="nobody").outcome is Outcome.UNAUTHENTICATED


def test_an_expired_session_is_nobody() -> None:
    world = open_world()
    world.session("ann-1", "ann", expiresAt=stamp(START + 10))
    assert world.ask().allowed
    world.now += 10
    assert world.ask().outcome is Outcome.UNAUTHENTICATED
    assert world.ask(tunnel=True).outcome is Outcome.UNAUTHENTICATED


def test_a_session_without_an_end_is_nobody() -> None:
    world = open_world()
    ref = {"userRef": {"uid": uid_of("User", "ann")}, "type": "CLIENT"}
    world.put("Session", "ann-1", {"state": "ACTIVE"}, ref)
    assert world.ask(tunnel=True).outcome is Outcome.UNAUTHENTICATED


def test_a_token_outlived_by_its_session() -> None:
    world = open_world()
    token = world.token(expires_at=START + 60)
    assert world.ask(token=token).allowed
    world.now += 60
    assert world.ask(token=token).outcome is Outcome.UNAUTHENTICATED
    assert world.ask(token=world.token()).allowed


def test_signing_keys_come_and_go() -> None:
    world = open_world()
    token = world.token()
    assert world.ask(token=token).allowed
    world._commit(feed.Change(kind="VerificationKey", uid=world.key_uid, name="key", deleted=True))
    assert world.ask(token=token).outcome is Outcome.UNAUTHENTICATED


# --- changes


def test_changes_take_effect_with_the_next_decision() -> None:
    world = open_world()
    assert world.ask().allowed
    world.session("ann-1", "ann", state="REJECTED")
    assert world.ask().reason.type is ReasonType.SESSION_NOT_ACTIVE
    world.session("ann-1", "ann")
    assert world.ask().allowed
    world.remove("Session", "ann-1")
    assert world.ask().outcome is Outcome.UNAUTHENTICATED
    world.session("ann-1", "ann")
    assert world.ask().allowed
    world.user(isDisabled=True, authorization=inline(allow()))
    assert world.ask().reason.type is ReasonType.USER_DEACTIVATED


def test_an_entry_that_is_out_of_date_is_replaced() -> None:
    world = open_world()
    old = world.entry()
    world.service("wiki.default", isPublic=None)
    request = DictRequest(HTTP, token=world.token())
    decision = world.octovigil.settle(old, request, FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.UNAUTHENTICATED
    assert decision.service is world.entry()
    world.remove("Service", "wiki.default")
    decision = world.octovigil.settle(old, request, FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is not None


def test_a_listener_that_failed_before_ours_does_no_harm() -> None:
    world = open_world()
    assert world.ask().allowed
    world.replica.listeners.remove(world.octovigil._changed)
    world.user()
    assert not world.ask().allowed


def test_closing_ends_the_listening() -> None:
    world = World()
    world.octovigil.close()
    assert world.replica.listeners == []


def test_whatever_fails_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world()

    class Trap(DictRequest):
        @property
        def token(self) -> bytes:
            raise ZeroDivisionError

        @token.setter
        def token(self, value: object) -> None:
            pass

    decision = world.octovigil.settle(world.entry(), Trap({}), FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is not None

    def broken(_decision: Decision) -> object:
        raise ZeroDivisionError

    failing = Octovigil(world.replica, world.verifier, world.clock, broken)
    decision = failing.settle(world.entry(), DictRequest(), FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is None


# --- worked cases


def test_default_deny() -> None:
    decision = World().ask()
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.type is ReasonType.NO_POLICY_MATCH


def test_deny_comes_first_at_equal_priority() -> None:
    world = open_world()
    world.service("wiki.default", authorization=inline(deny(name="no")))
    decision = world.ask()
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.type is ReasonType.POLICY_MATCH
    assert decision.reason.details["policyMatch"]["ruleName"] == "no"


def test_a_lower_number_beats_deny() -> None:
    world = World()
    world.user(authorization=inline(allow(priority=-1)))
    world.service("wiki.default", authorization=inline(deny()))
    assert world.ask().allowed


def test_priorities_across_places() -> None:
    world = World()
    match = "ctx.user.spec.email == 'ann@example.com'"
    world.service("wiki.default", authorization=inline(allow(match, priority=1)))
    world.put("Namespace", "default", {"authorization": inline(deny(priority=2))})
    world.user("bob")
    world.session("bob-1", "bob")
    assert world.ask().allowed
    decision = world.ask(session="bob-1")
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.details["policyMatch"]["priority"] == 2


def test_a_missing_request_is_no_match() -> None:
    world = World()
    rules = [deny("ctx.request.http.path.startsWith('/admin')", priority=-1), allow()]
    world.user(authorization=inline(*rules))
    world.service("box.default", mode="SSH", isPublic=None)
    ssh = {"ssh": {"connect": {"user": "root"}}}
    assert world.ask("box.default", ssh, tunnel=True).allowed
    http = {"http": {**HTTP["http"], "path": "/admin/users"}}
    assert world.ask(request=http).outcome is Outcome.DENIED


def test_arithmetic_on_the_context_is_an_error() -> None:
    world = World()
    world.service(
        "wiki.default", port=8080, authorization=inline(allow("ctx.service.spec.port + 1 > 3"))
    )
    decision = world.ask()
    assert decision.outcome is Outcome.ERROR
    assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON
    assert "no such overload" in decision.error


def test_rights_of_a_session_are_its_own() -> None:
    world = World()
    world.session("ann-1", "ann", authorization=inline(allow()))
    world.session("ann-2", "ann")
    assert world.ask().allowed
    assert not world.ask(session="ann-2").allowed


def test_rules_that_are_not_reached_do_not_fail() -> None:
    world = World()
    rules = [allow(priority=-1), deny("1 / 0 > 1")]
    world.user(authorization=inline(*rules))
    assert world.ask().allowed
    world.user(authorization=inline(allow(priority=1), deny("1 / 0 > 1")))
    assert world.ask().outcome is Outcome.ERROR


def test_a_rule_without_a_condition_never_matches() -> None:
    world = World()
    world.user(authorization=inline({"effect": "ALLOW"}))
    assert world.ask().reason.type is ReasonType.NO_POLICY_MATCH


def test_the_built_in_policies_of_the_api() -> None:
    world = World()
    api = (
        "ctx.namespace.metadata.name == 'octelium-api' && ctx.service.spec.mode == 'GRPC'"
        " && !(ctx.request.grpc.serviceFullName in ['octelium.api.main.auth.v1.MainService'])"
    )
    world.policy(
        "read-only",
        allow(
            "ctx.request.grpc.method.startsWith('Get') || "
            "ctx.request.grpc.method.startsWith('List')",
            priority=-1,
        ),
        deny(),
        enforcementRules=[
            {"effect": "ENFORCE", "condition": {"match": api}},
            {"effect": "IGNORE", "condition": {"matchAny": True}},
        ],
    )
    world.put("Namespace", "octelium-api")
    world.service("default.octelium-api", mode="GRPC")
    world.user(authorization={"policies": ["read-only"], **inline(allow(priority=1))})

    def call(service: str, method: str) -> bool:
        grpc = {"serviceFullName": service, "method": method}
        return world.ask("default.octelium-api", {"grpc": grpc}).allowed

    core_service = "octelium.api.main.core.v1.MainService"
    auth_service = "octelium.api.main.auth.v1.MainService"
    for _ in range(2):
        assert call(core_service, "ListService")
        assert call(core_service, "GetService")
        assert not call(core_service, "DeleteService")
        assert call(auth_service, "Logout")
    assert world.ask("wiki.default").allowed
