"""What two worlds share, and what a world refuses."""

from __future__ import annotations

from octelium.octovigil.access.world import Workshop
from octelium.octovigil.access.world import World as Seen
from tests.octovigil.world import World, allow, deny, inline, uid_of


def test_what_a_change_leaves_alone_is_shared() -> None:
    world = World()
    world.policy("one", allow())
    world.policy("two", allow())
    world.user(authorization={"policies": ["one"]})
    world.service("wiki.default", authorization={"policies": ["two"]})
    before = world.replica.fork()
    world.policy("one", deny())
    workshop = Workshop(world.now)
    first, second = Seen(before, workshop), Seen(world.replica, workshop)
    assert first.triggers is second.triggers
    entry = world.entry()
    assert first.offer(entry) is second.offer(entry)
    user = world.replica.users_by_name["ann"]
    assert first.asker(user) is not second.asker(user)
    assert first.asker(user).subject is second.asker(user).subject
    assert first.asker(user, client=True) is not first.asker(user)


def test_ancestors_and_repetitions() -> None:
    world = World()
    world.policy("a", allow())
    world.policy("b.a", allow())
    world.user(authorization={"policies": ["b.a", "a", "b.a"]})
    seen = Seen(world.replica, Workshop(world.now))
    policies = seen.asker(world.replica.users_by_name["ann"]).policies
    places = [unit.rule.place for slot in policies.slots for unit in slot]
    assert places == ["Policy b.a, rule 1", "Policy a, rule 1"]


def test_a_missing_ancestor_refuses() -> None:
    world = World()
    world.policy("b.a", allow())
    world.user(authorization={"policies": ["b.a"]})
    seen = Seen(world.replica, Workshop(world.now))
    refusal = seen.asker(world.replica.users_by_name["ann"]).refusal
    assert refusal == "Policy a, attached to User ann, does not exist"


def test_a_missing_policy_of_a_trigger_refuses_all_but_open_services() -> None:
    world = World()
    world.put("ClusterConfig", "default", {"authorization": {"policies": ["gone"]}},
              {"domain": "example.com"})  # fmt: skip
    world.service("open.default", isAnonymous=True)
    seen = Seen(world.replica, Workshop(world.now))
    asker = seen.asker(world.replica.users_by_name["ann"])
    refused = seen.outcome(asker, seen.offer(world.entry()))
    assert refused.why == "Policy gone, attached to ClusterConfig default, does not exist"
    assert seen.outcome(asker, seen.offer(world.entry("open.default"))).why == (
        "the Service is open to everybody"
    )
    assert seen.outcome(None, seen.offer(world.entry())).why == "the request comes from nobody"


def test_a_missing_namespace_refuses() -> None:
    world = World()
    world.service("wiki.default", authorization=inline(allow()))
    world.remove("Namespace", "default")
    seen = Seen(world.replica, Workshop(world.now))
    refusal = seen.offer(world.entry()).refusal
    assert refusal == "the Namespace of Service wiki.default does not exist"


def test_existing_sessions_are_checked() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.put("Device", "laptop", {"state": "ACTIVE"}, {"osType": "LINUX"})
    replica = world.replica

    def why(*, public: bool = True) -> str:
        world.service("wiki.default", isPublic=public)
        seen = Seen(replica, Workshop(world.now))
        session = replica.sessions[uid_of("Session", "ann-1")]
        asker = seen.asker(replica.users_by_name["ann"], session=session)
        return seen.outcome(asker, seen.offer(world.entry())).why

    allowed = "inline policy 1 of User ann, rule 1 allows"
    world.session("ann-1", "ann", device="laptop")
    assert why() == why(public=False) == allowed
    world.session("ann-1", "ann", kind="CLIENTLESS")
    assert why() == allowed
    assert why(public=False) == "Session ann-1 is refused: SESSION_CLIENT_TYPE_INVALID"
    world.session("ann-1", "ann", status={"isLocked": True})
    assert why() == "Session ann-1 is refused: SESSION_LOCKED"
    world.session("ann-1", "ann", device="laptop")
    world.put("Device", "laptop", {"state": "PENDING"})
    assert why() == "Session ann-1 is refused: DEVICE_NOT_ACTIVE"
    world.remove("Device", "laptop")
    assert why() == "the Device of Session ann-1 does not exist"


def test_policies_of_the_device_count() -> None:
    world = World()
    world.put("Device", "laptop", {"state": "ACTIVE", "authorization": inline(allow())})
    world.session("ann-1", "ann", device="laptop")
    seen = Seen(world.replica, Workshop(world.now))
    session = world.replica.sessions[uid_of("Session", "ann-1")]
    asker = seen.asker(world.replica.users_by_name["ann"], session=session)
    outcome = seen.outcome(asker, seen.offer(world.entry()))
    assert outcome.why == "inline policy 1 of Device laptop, rule 1 allows"
