from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.access.formula import Formulas
from octelium.octovigil.access.parties import Parts, Place, Subject
from octelium.octovigil.access.triggers import pre_condition
from octelium.policy.cel.unparse import unparse
from tests.octovigil.world import World, uid_of


def applies(world: World, condition: dict[str, Any], *, known: bool = False) -> str:
    """Where a trigger with this pre-condition applies to Ann in a new or in her Session."""
    world.put("PolicyTrigger", "t", status={"preCondition": condition})
    (trigger,) = world.replica.triggers
    check = pre_condition(trigger, world.now)
    if check is None:
        return "always"
    replica, parts = world.replica, Parts()
    user = replica.users_by_name["ann"]
    groups = tuple(replica.groups_by_name[name] for name in user.groups)
    session = replica.sessions[uid_of("Session", "ann-1")] if known else None
    subject = Subject(parts, user, groups, session, None, ("CLIENT",))
    place = Place(parts, world.entry(), replica.namespaces_by_name["default"])
    judgement = check.judge(Formulas(), subject, place, None)
    assert unparse(judgement.fails.node) in ("false", "true")
    return unparse(judgement.holds.node)


def ref(kind: str, name: str) -> dict[str, str]:
    return {"kind": kind, "name": name, "uid": uid_of(kind, name)}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, "false"),
        ({"matchAny": True}, "always"),
        ({"matchAny": False}, "false"),
        ({"condition": {"match": "ctx.user.metadata.name == 'ann'"}}, "true"),
        ({"condition": {"match": "ctx.request.http.method == 'GET'"}},
         'ctx.request.http.method == "GET"'),
        ({"notBefore": "2027-01-15T08:00:00Z"}, "true"),
        ({"notBefore": "2027-01-15T08:00:01Z"}, "false"),
        ({"notAfter": "2027-01-15T08:00:00Z"}, "false"),
        ({"notAfter": "2027-01-15T08:00:01Z"}, "true"),
        ({"userRef": ref("User", "ann")}, "true"),
        ({"userRef": ref("User", "bob")}, "false"),
        ({"groupRef": ref("Group", "team")}, "true"),
        ({"groupRef": ref("Group", "other")}, "false"),
        ({"serviceRef": ref("Service", "wiki.default")}, "true"),
        ({"namespaceRef": ref("Namespace", "other")}, "false"),
        ({"sessionRef": ref("Session", "ann-1")}, "false"),
        ({"deviceRef": {"uid": "d"}}, 'ctx.device.metadata.uid == "d"'),
        ({"any": {}}, "false"),
        ({"all": {}}, "false"),
        ({"any": {"of": [{"matchAny": False}, {"userRef": ref("User", "ann")}]}}, "true"),
        ({"all": {"of": [{"matchAny": True}, {"userRef": ref("User", "bob")}]}}, "false"),
    ],
)  # fmt: skip
def test_pre_conditions(condition: dict[str, Any], expected: str) -> None:
    world = World()
    world.put("Group", "team")
    world.user(groups=["team"])
    assert applies(world, condition) == expected


def test_an_existing_session_and_device() -> None:
    world = World()
    assert applies(world, {"sessionRef": ref("Session", "ann-1")}, known=True) == "true"
    assert applies(world, {"sessionRef": ref("Session", "ann-2")}, known=True) == "false"
    assert applies(world, {"deviceRef": {"uid": "d"}}, known=True) == "false"
