from __future__ import annotations

import math
from typing import Any

import pytest

from octelium.octovigil.triggers import CompiledTrigger, Parties
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.program import new_frame
from octelium.replica.replica import Trigger
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import START, World, allow, stamp, uid_of


def trigger(pre_condition: dict[str, Any], world: World) -> CompiledTrigger:
    form = from_json(core.PolicyTriggerStatusPreCondition, pre_condition)
    assert world.replica.cluster_config is not None
    return CompiledTrigger(Trigger(world.replica.cluster_config, form, (), ()))


def parties(world: World) -> Parties:
    replica = world.replica
    return Parties(
        world.entry(),
        replica.namespaces_by_name["default"],
        next(iter(replica.sessions.values())),
        replica.users_by_name["ann"],
        next(iter(replica.devices.values()), None),
        list(replica.groups.values()),
    )


def ref(kind: str, name: str) -> dict[str, Any]:
    return {"uid": uid_of(kind, name)}


ALWAYS = {"matchAny": True}
NEVER = {"matchAny": False}


@pytest.mark.parametrize(
    ("pre_condition", "expected"),
    [
        (ALWAYS, True),
        (NEVER, False),
        ({}, False),
        ({"condition": {"match": "ctx.user.metadata.name == 'ann'"}}, True),
        ({"condition": {"match": "attrs.x == 1"}}, False),
        ({"notBefore": stamp(START - 1)}, True),
        ({"notBefore": stamp(START)}, True),
        ({"notBefore": stamp(START + 1)}, False),
        ({"notAfter": stamp(START + 1)}, True),
        ({"notAfter": stamp(START)}, False),
        ({"sessionRef": ref("Session", "ann-1")}, True),
        ({"sessionRef": ref("Session", "other")}, False),
        ({"userRef": ref("User", "ann")}, True),
        ({"userRef": ref("User", "bob")}, False),
        ({"serviceRef": ref("Service", "wiki.default")}, True),
        ({"serviceRef": ref("Service", "shop.default")}, False),
        ({"namespaceRef": ref("Namespace", "default")}, True),
        ({"namespaceRef": ref("Namespace", "prod")}, False),
        ({"groupRef": ref("Group", "dev")}, True),
        ({"groupRef": ref("Group", "ops")}, False),
        ({"deviceRef": ref("Device", "laptop")}, False),
        ({"any": {"of": [NEVER, ALWAYS]}}, True),
        ({"any": {"of": []}}, False),
        ({"all": {"of": [ALWAYS, ALWAYS]}}, True),
        ({"all": {"of": [ALWAYS, NEVER]}}, False),
        ({"all": {"of": []}}, False),
        ({"all": {"of": [{"any": {"of": [ALWAYS]}}, ALWAYS]}}, True),
    ],
)
def test_pre_conditions(pre_condition: dict[str, Any], expected: bool) -> None:
    world = World()
    world.put("Group", "dev")
    frame = new_frame({"user": {"metadata": {"name": "ann"}}})
    assert trigger(pre_condition, world).holds(frame, parties(world), START) is expected


def test_references_need_the_object() -> None:
    world = World()
    nobody = Parties(world.entry())
    for kind in ("session", "user", "device", "namespace"):
        compiled = trigger({f"{kind}Ref": {"uid": ""}}, world)
        assert not compiled.holds(new_frame({}), nobody, START)


def test_instants() -> None:
    compiled = trigger(
        {
            "all": {
                "of": [
                    {"notBefore": stamp(START + 10)},
                    {"any": {"of": [{"notAfter": stamp(START + 20)}]}},
                ]
            }
        },
        World(),
    )
    assert compiled.next_instant(START) == START + 10
    assert compiled.next_instant(START + 10) == START + 20
    assert compiled.next_instant(START + 20) == math.inf


def test_errors() -> None:
    world = World()
    for text in ("1 / 0 > 1", "ctx."):
        compiled = trigger({"condition": {"match": text}}, world)
        with pytest.raises(EvaluationError):
            compiled.holds(new_frame({}), parties(world), START)


def test_a_trigger_attaches_policies() -> None:
    world = World()
    world.policy("p", allow())
    assert not world.ask().allowed
    world.put("PolicyTrigger", "t", status={"preCondition": ALWAYS, "policies": ["p"]})
    assert world.ask().allowed
    world.put(
        "PolicyTrigger", "t", status={"preCondition": ALWAYS, "policies": ["p"], "isDisabled": True}
    )
    assert not world.ask().allowed


def test_a_trigger_begins_and_ends() -> None:
    world = World()
    during = {"all": {"of": [{"notBefore": stamp(START + 10)}, {"notAfter": stamp(START + 20)}]}}
    rules = [{"spec": {"rules": [allow()]}}]
    world.put("PolicyTrigger", "t", status={"preCondition": during, "inlinePolicies": rules})
    seen = []
    for now in (START, START + 9.9, START + 10, START + 19.9, START + 20):
        world.now = now
        seen.append(world.ask().allowed)
    assert seen == [False, False, True, True, False]


def test_a_failing_trigger_refuses() -> None:
    world = World()
    world.user(authorization={"inlinePolicies": [{"spec": {"rules": [allow()]}}]})
    assert world.ask().allowed
    failing = {"condition": {"match": "1 / 0 > 1"}}
    rules = [{"spec": {"rules": [allow()]}}]
    world.put("PolicyTrigger", "t", status={"preCondition": failing, "inlinePolicies": rules})
    decision = world.ask()
    assert decision.outcome.name == "ERROR"
    assert "PolicyTrigger t" in decision.error
