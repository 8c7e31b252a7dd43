"""Whether edited resources could be stored."""

from __future__ import annotations

from octelium.octovigil.explain.validity import fault
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World, allow


def user(world: World) -> core.User:
    copy = core.User()
    copy.CopyFrom(world.replica.users_by_name["ann"].message)
    return copy


def test_rules_of_the_schema_hold() -> None:
    world = World()
    world.put("Group", "ops")
    old, new = user(world), user(world)
    assert fault(new, old, world.replica, world.now) == ""
    new.spec.groups.append("ops")
    assert fault(new, old, world.replica, world.now) == ""
    new.spec.groups.append("gone")
    assert fault(new, old, world.replica, world.now).startswith("spec.groups[1]: there is no Group")
    # What the old one names is not the edit's fault.
    assert fault(new, new, world.replica, world.now) == ""


def test_expressions_must_compile() -> None:
    world = World()
    world.policy("p", allow())
    old = world.replica.policies_by_name["p"].message
    new = core.Policy()
    new.CopyFrom(old)
    new.spec.rules[0].condition.match = "nope("
    assert "spec.rules[0].condition.match" in fault(new, old, world.replica, world.now)


def test_labels_are_checked() -> None:
    world = World()
    old, new = user(world), user(world)
    new.metadata.labels["A B"] = "x"
    assert "metadata.labels" in fault(new, old, world.replica, world.now)
