"""What attaches where, in which order, and what each attachment contributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.attachments import ANY, Attachments, Collection, Collector, Dependency
from octelium.octovigil.errors import DecisionError
from octelium.octovigil.policies import Policies
from octelium.octovigil.triggers import CompiledTrigger, Parties
from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.world import HTTP, World, allow, deny, inline, uid_of

if TYPE_CHECKING:
    from collections.abc import Callable


def everything() -> World:
    """A world where every place has one named and one inline policy of its own."""
    world = World()
    for name in ("svc", "ns", "usr", "g2", "g1", "ses", "dev", "cc"):
        world.policy(name, allow(name=name))

    def both(name: str) -> dict[str, Any]:
        return {"policies": [name], **inline(allow(name=f"{name}-inline"), name=name)}

    world.put("Namespace", "default", {"authorization": both("ns")})
    world.put("Group", "g1", {"authorization": both("g1")})
    world.put("Group", "g2", {"authorization": both("g2")})
    world.user(groups=["g2", "g1"], authorization=both("usr"))
    world.put("Device", "laptop", {"state": "ACTIVE", "authorization": both("dev")})
    world.session("ann-1", "ann", device="laptop", authorization=both("ses"))
    world.service("wiki.default", authorization=both("svc"))
    world.put("ClusterConfig", "default", {"authorization": both("cc")})
    return world


def parties_of(world: World, session: bool = True) -> Parties:
    replica = world.replica
    parties = Parties(world.entry(), replica.namespaces_by_name["default"])
    if session:
        user = replica.users_by_name["ann"]
        parties = parties._replace(
            session=next(iter(replica.sessions.values())),
            user=user,
            device=next(iter(replica.devices.values()), None),
            groups=[replica.groups_by_name[name] for name in user.groups],
        )
    return parties


def attachments(
    world: World, session: bool = True, dependencies: list[Dependency] | None = None
) -> Attachments:
    parties = parties_of(world, session)
    triggers = [CompiledTrigger(trigger) for trigger in world.replica.triggers]
    collection = Collector(world.replica, Policies()).collect(triggers, parties)
    if dependencies is not None:
        dependencies += collection.dependencies
    if collection.problem:
        raise DecisionError(collection.problem)
    return Attachments(collection, parties)


def names(found: Attachments) -> list[str]:
    return [rule.name for item in found.items for rule in item.policy.rules]


def test_the_order_of_places() -> None:
    expected = [
        name
        for place in ("svc", "ns", "usr", "g2", "g1", "ses", "dev", "cc")
        for name in (place, f"{place}-inline")
    ]
    assert names(attachments(everything())) == expected


def test_without_identity_only_the_places_of_the_service_count() -> None:
    expected = ["svc", "svc-inline", "ns", "ns-inline", "cc", "cc-inline"]
    assert names(attachments(everything(), session=False)) == expected


def test_named_before_inline_each_in_their_order() -> None:
    world = World()
    for name in ("b", "a"):
        world.policy(name, allow(name=name))
    one, two = inline(allow(name="i1")), inline(allow(name="i2"))
    policies = [*one["inlinePolicies"], *two["inlinePolicies"]]
    world.user(authorization={"policies": ["b", "a"], "inlinePolicies": policies})
    assert names(attachments(world)) == ["b", "a", "i1", "i2"]


def test_ancestors_come_along() -> None:
    world = World()
    for name in ("base", "dev.base", "web.dev.base"):
        world.policy(name, allow(name=name))
    world.user(authorization={"policies": ["web.dev.base"]})
    assert names(attachments(world)) == ["web.dev.base", "dev.base", "base"]


def test_dependencies() -> None:
    found: list[Dependency] = []
    attachments(everything(), dependencies=found)
    assert ("Policy", uid_of("Policy", "usr")) in found
    assert ("PolicyTrigger", ANY) in found
    assert ("ClusterConfig", ANY) in found


def test_what_is_collected_is_shared_until_a_part_of_it_changes() -> None:
    world = everything()
    policies = Policies()
    collector = Collector(world.replica, policies)
    triggers = [CompiledTrigger(trigger) for trigger in world.replica.triggers]

    def collected() -> Collection:
        return collector.collect(triggers, parties_of(world))

    def replaced(change: Callable[[], None]) -> bool:
        before = collected()
        assert collected() is before
        change()
        after = collected()
        assert collected() is after
        return after is not before

    assert replaced(lambda: world.policy("usr", deny(name="usr")))
    assert [rule.allows for item in collected().items for rule in item.policy.rules].count(False)
    assert replaced(lambda: world.put("Group", "g1", {"authorization": inline(deny())}))
    assert replaced(lambda: world.user(groups=["g2"]))
    assert not replaced(lambda: world.policy("other", deny()))
    assert not replaced(lambda: world.put("Group", "g1"))
    assert collector.collect(list(triggers), parties_of(world)) is not collected()
    world.remove("Policy", "svc")
    assert "svc" in collected().problem
    world.policy("svc", allow())
    assert not collected().problem


def test_collections_of_changed_owners_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octelium.octovigil.attachments._KEPT", 4)
    world = World()
    collector = Collector(world.replica, Policies())
    for number in range(20):
        world.user(authorization=inline(allow(name=str(number))))
        found = collector.collect((), parties_of(world))
        assert [rule.name for rule in found.order or ()] == [str(number)]
        assert len(collector._kept) <= 4


@pytest.mark.parametrize("name", ["nope", "child.nope"])
def test_a_missing_policy_refuses(name: str) -> None:
    world = World()
    world.user(authorization={"policies": [name], **inline(allow())})
    with pytest.raises(DecisionError, match="does not exist"):
        attachments(world)
    decision = world.ask()
    assert decision.outcome is Outcome.ERROR
    assert name in decision.error


def test_a_policy_that_appears_later_is_found() -> None:
    world = World()
    world.user(authorization={"policies": ["late"]})
    assert world.ask().outcome is Outcome.ERROR
    world.policy("late", allow())
    assert world.ask().allowed
    world.remove("Policy", "late")
    assert world.ask().outcome is Outcome.ERROR


def test_a_group_contributes_through_the_parents_of_its_policy() -> None:
    world = World()
    world.policy("base", allow())
    world.policy("dev.base")
    world.put("Group", "team", {"authorization": {"policies": ["dev.base"]}})
    assert world.ask().reason.type is ReasonType.NO_POLICY_MATCH
    world.user(groups=["team"])
    assert world.ask().allowed


def test_disabled_policies_do_not_count_their_parents_do() -> None:
    world = World()
    world.policy("base", allow())
    world.policy("off.base", deny(), isDisabled=True)
    world.user(authorization={"policies": ["off.base"]})
    assert world.ask().allowed
    world.policy("off.base", allow())
    world.policy("base", deny(), isDisabled=True)
    assert world.ask().allowed


def test_a_policy_contributes_once() -> None:
    world = World()
    world.policy("p", allow(name="main"))
    world.user(authorization={"policies": ["p", "p"]})
    world.service("wiki.default", authorization={"policies": ["p"]})
    frame_rules = attachments(world).rules([], 0)
    assert [rule.name for rule in frame_rules] == ["main"]


ENFORCE = {"effect": "ENFORCE", "condition": {"matchAny": True}}
IGNORE = {"effect": "IGNORE", "condition": {"matchAny": True}}
NO_ENFORCE = {"effect": "ENFORCE", "condition": {"matchAny": False}}
NO_IGNORE = {"effect": "IGNORE", "condition": {"matchAny": False}}
BROKEN_ENFORCE = {"effect": "ENFORCE", "condition": {"match": "1 / 0 > 1"}}
BROKEN_IGNORE = {"effect": "IGNORE", "condition": {"match": "1 / 0 > 1"}}


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ([], Outcome.DENIED),
        ([ENFORCE], Outcome.DENIED),
        ([NO_ENFORCE], Outcome.DENIED),
        ([IGNORE], Outcome.ALLOWED),
        ([NO_IGNORE], Outcome.DENIED),
        ([IGNORE, ENFORCE], Outcome.DENIED),
        ([ENFORCE, IGNORE], Outcome.DENIED),
        ([NO_ENFORCE, IGNORE], Outcome.ALLOWED),
        ([NO_ENFORCE, NO_IGNORE], Outcome.DENIED),
        # An error could hide a rule that enforces, or a refusal that is ignored: it refuses.
        ([BROKEN_ENFORCE], Outcome.ERROR),
        ([BROKEN_IGNORE], Outcome.ERROR),
        ([BROKEN_ENFORCE, IGNORE], Outcome.ERROR),
        ([ENFORCE, BROKEN_IGNORE], Outcome.DENIED),
    ],
)
def test_enforcement(rules: list[dict[str, Any]], outcome: Outcome) -> None:
    world = World()
    world.policy("refuse", deny(), enforcementRules=rules)
    world.user(authorization={"policies": ["refuse"], **inline(allow())})
    assert world.ask().outcome is outcome


def test_enforcement_may_depend_on_the_request() -> None:
    world = World()
    only_admin = {
        "effect": "IGNORE",
        "condition": {"not": "ctx.request.http.path.startsWith('/admin')"},
    }
    world.policy("refuse", deny(), enforcementRules=[only_admin])
    world.user(authorization={"policies": ["refuse"], **inline(allow())})
    assert world.ask().allowed
    admin = {"http": {**HTTP["http"], "path": "/admin/x"}}
    assert world.ask(request=admin).outcome is Outcome.DENIED


def test_enforcement_sees_the_attrs_of_its_policy() -> None:
    world = World()
    rule = {"effect": "IGNORE", "condition": {"match": "ctx.user.spec.email in attrs.exempt"}}
    world.policy("refuse", deny(), enforcementRules=[rule], attrs={"exempt": ["ann@example.com"]})
    world.user(authorization={"policies": ["refuse"], **inline(allow())})
    assert world.ask().allowed
    world.user("bob", authorization={"policies": ["refuse"], **inline(allow())})
    world.session("bob-1", "bob")
    assert not world.ask(session="bob-1").allowed


def test_a_policy_ignored_for_a_mode() -> None:
    world = World()
    rule = {"effect": "IGNORE", "condition": {"match": "ctx.service.spec.mode == 'SSH'"}}
    world.policy("no-ssh", deny(), enforcementRules=[rule])
    world.user(authorization={"policies": ["no-ssh"], **inline(allow())})
    world.service("box.default", mode="SSH", isPublic=None)
    assert world.ask("box.default", {"ssh": {}}, tunnel=True).allowed
    assert not world.ask("wiki.default").allowed
