"""Verdicts on pairs, against every request that can be made."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.access.listing import list_access, list_for_session
from octelium.octovigil.inquiry import InquiryError
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.values import normalized
from octelium.policy.request import NoRequest
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.conftest import SOAK
from tests.octovigil.access.crowd import ANY_MODE, TYPES, Crowd
from tests.octovigil.world import World, allow, deny, inline, uid_of

if TYPE_CHECKING:
    from octelium.policy.request import Request

VERDICT = ext.AccessVerdict__

EXPECTED = {
    frozenset({True}): VERDICT.ALLOWED,
    frozenset({False}): VERDICT.REFUSED,
    frozenset({True, False}): VERDICT.DEPENDS,
}
SIZE = (50, 20) if SOAK else (8, 8)


def listed(world: World, **names: str) -> dict[tuple[str, str, str], ext.Access]:
    return {
        (each.user, each.service, each.session): each
        for each in list_access(world.replica, clock=world.clock, served=ANY_MODE, **names)
    }


def only(world: World) -> ext.Access:
    (access,) = list_access(world.replica, user="ann", service="wiki.default", clock=world.clock)
    return access


# --- everything tried


@pytest.mark.parametrize("seed", range(12 if SOAK else 6))
def test_verdicts_are_those_of_all_decisions(seed: int) -> None:
    crowd = Crowd(seed, *SIZE)
    found = listed(crowd.world)
    assert len([key for key in found if not key[2]]) == SIZE[0] * SIZE[1]
    wrong = [
        (user, service, access.verdict, access.why, list(access.depends_on))
        for (user, service, session), access in found.items()
        if not session and crowd.verdict(user, service) != access.verdict
    ]
    assert not wrong


def test_the_conditions_say_which_requests_are_allowed() -> None:
    assert sum(map(_told_by_conditions, range(100, 106 if SOAK else 102)))


def _told_by_conditions(seed: int) -> int:
    """How many pairs depend on the request, each of which is looked at."""
    crowd = Crowd(seed, *SIZE)
    depending = 0
    for (user, service, session), access in listed(crowd.world).items():
        if access.verdict != VERDICT.DEPENDS or session:
            continue
        depending += 1
        for name, request, decision in crowd.decisions(user, service):
            ctx = context(crowd.world, service, name, request)
            assert all(holds(text, ctx) for text in access.depends_on) is decision.allowed, (
                access,
                ctx["request"],
            )
    return depending


def context(world: World, service: str, session: str, request: Request) -> dict[str, Any]:
    replica = world.replica
    entry = replica.sessions[uid_of("Session", session)]
    user = replica.users[entry.user_uid]
    parties: dict[str, Any] = {
        "service": world.entry(service).json,
        "namespace": replica.namespaces[world.entry(service).namespace_uid].json,
        "session": entry.json,
        "user": user.json,
    }
    if user.groups:
        parties["groups"] = [replica.groups_by_name[name].json for name in user.groups]
    if not isinstance(request, NoRequest):
        parties["request"] = request.context()
    made = normalized(parties)
    assert isinstance(made, dict)
    return made


def holds(text: str, ctx: dict[str, Any]) -> bool:
    """Whether a text of `depends_on` is true: a negation is, also without data."""
    from octelium.policy.cel.ast import Call, Node
    from octelium.policy.cel.compiler import compile_node
    from octelium.policy.cel.environment import check

    def true(node: Node) -> bool:
        match node:
            case Call("_&&_", None, (one, two)):
                return true(one) and true(two)
            case Call("_||_", None, (one, two)):
                return true(one) or true(two)
            case Call("!_", None, (operand,)):
                return not true(operand)
        try:
            return compile_node(node)(new_frame(ctx)) is True
        except EvaluationError:
            return False

    return true(check(text).root)


# --- single cases


def test_nothing_attached_refuses() -> None:
    access = only(World())
    assert access.verdict == VERDICT.REFUSED
    assert access.why == "no rule allows it"
    assert not access.depends_on


def test_a_rule_that_always_holds_allows() -> None:
    world = World()
    world.policy("all", allow(name="everybody"))
    world.user(authorization={"policies": ["all"]})
    access = only(world)
    assert access.verdict == VERDICT.ALLOWED
    assert access.why == "Policy all, rule 1 (everybody) allows"


def test_what_remains_to_be_known() -> None:
    world = World()
    world.user(
        authorization=inline(
            allow("ctx.user.spec.type == 'HUMAN' && ctx.request.http.method == 'GET'"),
            deny("ctx.request.http.path.startsWith('/admin')"),
        )
    )
    access = only(world)
    assert access.verdict == VERDICT.DEPENDS
    assert list(access.depends_on) == [
        '!ctx.request.http.path.startsWith("/admin")',
        'ctx.request.http.method == "GET"',
    ]
    assert access.why == (
        "inline policy 1 of User ann, rule 2 may deny, inline policy 1 of User ann, rule 1 may "
        "allow, else no rule allows it"
    )


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([allow("ctx.request.http.method == 'GET'"), allow("ctx.request.http.method != 'GET'")],
         VERDICT.ALLOWED),
        ([allow("ctx.request.http.method == 'GET' && ctx.request.http.method == 'PUT'")],
         VERDICT.REFUSED),
        ([deny("ctx.request.http.path.startsWith('/a')"), allow("ctx.request.http.path == '/ab'")],
         VERDICT.REFUSED),
        ([allow("ctx.session.status.type in ['CLIENT', 'CLIENTLESS']")], VERDICT.ALLOWED),
        ([allow("ctx.session.spec.state == 'ACTIVE'")], VERDICT.ALLOWED),
        ([allow("ctx.request.ssh.connect.user == 'root'")], VERDICT.REFUSED),
        ([allow("has(ctx.device)"), allow("!has(ctx.device)")], VERDICT.ALLOWED),
        ([allow("now() > timestamp('2020-01-01T00:00:00Z')")], VERDICT.DEPENDS),
        ([allow("json.marshal(ctx).contains('x')")], VERDICT.DEPENDS),
        ([allow("ctx.user.spec.email + 1 == 'x'"), allow(priority=1)], VERDICT.REFUSED),
        ([{"effect": "ALLOW", "condition": {"not": "ctx.device.spec.state == 'PENDING'"}},
          deny("ctx.device.spec.state == 'PENDING'")], VERDICT.DEPENDS),
    ],
)  # fmt: skip
def test_conditions_on_the_same_value(rules: list[dict[str, Any]], verdict: int) -> None:
    world = World()
    world.user(authorization=inline(*rules))
    assert only(world).verdict == verdict


def test_services_that_are_not_served_refuse() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.service("wiki.default", mode="POSTGRES", isPublic=False)
    access = only(world)
    assert access.verdict == VERDICT.REFUSED
    assert access.why == (
        "mode POSTGRES is stored but not served by this version: every request is refused"
    )


def test_rego_that_reads_the_request_is_not_known() -> None:
    world = World()
    module = 'package octelium.condition\n\nmatch if input.ctx.request.http.method == "GET"\n'
    world.user(authorization=inline({"effect": "ALLOW", "condition": {"opa": {"inline": module}}}))
    access = only(world)
    assert access.verdict == VERDICT.DEPENDS
    assert list(access.depends_on) == ['rego("inline policy 1 of User ann, rule 1")']


def test_rego_that_reads_what_is_known_is_evaluated() -> None:
    world = World()
    world.user("bob")
    module = 'package octelium.condition\n\nmatch if input.ctx.user.metadata.name == "ann"\n'
    opa = {"effect": "ALLOW", "condition": {"opa": {"inline": module}}}
    world.service("wiki.default", authorization=inline(opa))
    ann, bob = list_access(world.replica, clock=world.clock)
    assert (ann.user, ann.verdict, list(ann.depends_on)) == ("ann", VERDICT.ALLOWED, [])
    assert ann.why == "inline policy 1 of Service wiki.default, rule 1 allows"
    assert (bob.user, bob.verdict) == ("bob", VERDICT.REFUSED)


@pytest.mark.parametrize(
    ("spec", "status", "why"),
    [
        ({"isDisabled": True}, {}, "User ann is disabled"),
        ({}, {"isLocked": True}, "User ann is locked"),
        ({"groups": ["gone"]}, {}, "Group gone of User ann does not exist"),
        ({"authorization": {"policies": ["gone"]}}, {},
         "Policy gone, attached to User ann, does not exist"),
    ],
)  # fmt: skip
def test_users_that_are_refused_everywhere(
    spec: dict[str, Any], status: dict[str, Any], why: str
) -> None:
    world = World()
    world.service("wiki.default", authorization=inline(allow()))
    assert only(world).verdict == VERDICT.ALLOWED
    world.put("User", "ann", {"type": "HUMAN", **spec}, status)
    access = only(world)
    assert (access.verdict, access.why) == (VERDICT.REFUSED, why)


def test_a_disabled_service() -> None:
    world = World()
    world.service("wiki.default", authorization=inline(allow()), isDisabled=True)
    assert only(world).why == "Service wiki.default is disabled"


def test_an_open_service_lets_everybody_in() -> None:
    world = World()
    world.service("wiki.default", isAnonymous=True)
    world.user(isDisabled=True)
    access = only(world)
    assert (access.verdict, access.why) == (
        VERDICT.ALLOWED,
        "the Service is open to everybody",
    )


def test_policies_of_an_anonymous_service_see_no_user() -> None:
    world = World()
    rules = [allow("ctx.request.http.method == 'GET'"), deny("has(ctx.user)", priority=-1)]
    world.service(
        "wiki.default", isAnonymous=True, authorization={**inline(*rules), "enableAnonymous": True}
    )
    world.user(authorization=inline(deny(priority=-4)))
    access = only(world)
    assert access.verdict == VERDICT.DEPENDS
    assert list(access.depends_on) == ['ctx.request.http.method == "GET"']


def test_a_session_with_policies_of_its_own_is_told() -> None:
    world = World()
    world.session("ann-1", "ann", authorization=inline(allow()))
    assert listed(world)["ann", "wiki.default", ""].verdict == VERDICT.REFUSED
    special = listed(world)["ann", "wiki.default", "ann-1"]
    assert special.verdict == VERDICT.ALLOWED
    assert special.why == (
        "Session ann-1 has policies of its own: inline policy 1 of Session ann-1, rule 1 allows"
    )
    world.user(authorization=inline(allow()))
    assert len(listed(world)) == 1, "they make no difference any more"
    world.user()
    world.now += 10 * 86400
    assert len(listed(world)) == 1, "the Session is over"


def test_scopes_of_a_session_limit_it() -> None:
    world = World()
    world.put("Namespace", "octelium-api")
    world.service(
        "api.octelium-api",
        mode="GRPC",
        isPublic=True,
        status={"managedService": {"type": "apiserver"}},
    )
    scope = {"api": {"filter": {"packages": ["a.b"], "services": ["*"], "methods": ["X", "Y"]}}}
    world.session("ann-1", "ann", authorization=inline(allow()), status={"scopes": [scope]})
    found = listed(world)
    assert ("ann", "wiki.default", "ann-1") not in found
    special = found["ann", "api.octelium-api", "ann-1"]
    assert list(special.depends_on) == [
        'ctx.request.grpc.package == "a.b"',
        'ctx.request.grpc.method in ["X", "Y"]',
    ]


def test_dynamic_configuration_that_fails_refuses() -> None:
    world = World()
    rule = {"condition": {"match": "ctx.request.http.method == 'PUT'"}, "configName": "gone"}
    world.service("wiki.default", authorization=inline(allow()), dynamicConfig={"rules": [rule]})
    access = only(world)
    assert access.verdict == VERDICT.DEPENDS
    assert list(access.depends_on) == ['ctx.request.http.method != "PUT"']
    rule["condition"] = {"matchAny": True}
    world.service("wiki.default", authorization=inline(allow()), dynamicConfig={"rules": [rule]})
    assert only(world).why == "the Service's dynamic configuration fails"


def test_one_user_one_service_and_all() -> None:
    world = World()
    world.user("bob")
    world.service("box.default")
    assert [key[:2] for key in listed(world)] == [
        ("ann", "box.default"),
        ("ann", "wiki.default"),
        ("bob", "box.default"),
        ("bob", "wiki.default"),
    ]
    assert [key[0] for key in listed(world, service="wiki")] == ["ann", "bob"]
    assert [key[1] for key in listed(world, user="bob")] == ["box.default", "wiki.default"]


def test_unknown_names() -> None:
    with pytest.raises(InquiryError, match=r"no User 'anne'; did you mean ann\?"):
        listed(World(), user="anne")
    with pytest.raises(
        InquiryError, match=r"no Service 'wikki.default'; did you mean wiki.default"
    ):
        listed(World(), service="wikki")


def test_a_new_session_of_a_hidden_service_is_a_client() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.session.status.type == 'CLIENT'")))
    assert only(world).verdict == VERDICT.DEPENDS
    world.service("wiki.default", isPublic=False)
    assert only(world).verdict == VERDICT.ALLOWED


def test_expressions_are_not_changed_by_the_evaluation() -> None:
    """The program of a text is shared with the decision point."""
    world = World()
    text = "ctx.request.http.method == 'GET'"
    world.user(authorization=inline(allow(text)))
    assert only(world).verdict == VERDICT.DEPENDS
    assert compile_program(text).test(new_frame({"request": {"http": {"method": "GET"}}}))
    assert world.ask().allowed


# --- one Session


@pytest.mark.parametrize("seed", range(12 if SOAK else 4))
def test_what_is_told_of_a_session_is_decided_for_it(seed: int) -> None:
    crowd = Crowd(seed, *SIZE)
    wrong = []
    for user, kind, browser in itertools.product(crowd.users[:3], TYPES, (False, True)):
        session = crowd.session(user, kind, browser=browser)
        told = list_for_session(
            crowd.world.replica,
            uid_of("Session", session),
            clock=crowd.world.clock,
            served=ANY_MODE,
        )
        assert [access.service for access in told] == sorted(crowd.services)
        for access in told:
            decided = {
                decision.allowed
                for name, _, decision in crowd.decisions(user, access.service)
                if name == session
            }
            if decided and access.verdict != EXPECTED[frozenset(decided)]:
                wrong.append((session, access, decided))
    assert not wrong


def test_a_session_that_is_gone() -> None:
    with pytest.raises(InquiryError, match="the Session is gone"):
        list_for_session(World().replica, "none")
