"""Which pairs are looked at; `test_preview` holds what is found against decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.octovigil.access.pairs import Pairs
from octelium.octovigil.access.world import Asker, Offer, Workshop
from octelium.octovigil.access.world import World as Seen
from tests.octovigil.world import World, allow, deny

if TYPE_CHECKING:
    from octelium.octovigil.access.outcome import Outcome


class Watched(Seen):
    """Counts the pairs that are decided."""

    asked: list[tuple[str, str]]

    def outcome(self, asker: Asker | None, offer: Offer, *rest: object) -> Outcome:
        assert asker is not None
        assert asker.subject.user is not None
        self.asked.append((asker.subject.user.name, offer.place.service.name))
        return super().outcome(asker, offer, *rest)  # type: ignore[arg-type]  # as it is given


def test_pairs_that_a_change_cannot_reach_are_not_decided() -> None:
    world = World()
    world.policy("one", allow())
    world.user("bob", authorization={"policies": ["one"]})
    world.service("box.default")
    before = world.replica.fork()
    world.policy("one", deny())
    workshop = Workshop(world.now)
    worlds = Watched(before, workshop), Watched(world.replica, workshop)
    for seen in worlds:
        seen.asked = []
    pairs = Pairs(*worlds)
    assert pairs.count == 4
    assert pairs.alike
    changed = [(each.after.user, each.after.service) for each in pairs.changes()]
    assert changed == [("bob", "box.default"), ("bob", "wiki.default")]
    assert worlds[0].asked == worlds[1].asked == changed


def test_what_applies_to_everybody_reaches_all() -> None:
    world = World()
    before = world.replica.fork()
    world.policy("one", allow())
    world.put("ClusterConfig", "default", {"authorization": {"policies": ["one"]}},
              {"domain": "example.com"})  # fmt: skip
    workshop = Workshop(world.now)
    pairs = Pairs(Seen(before, workshop), Seen(world.replica, workshop))
    assert not pairs.alike
    (changed,) = pairs.changes()
    assert changed.after.why == "Policy one, rule 1 allows"


def test_a_user_without_changes_in_a_service_that_becomes_public() -> None:
    world = World()
    world.policy("one", allow("ctx.session.status.type == 'CLIENT'"))
    world.user(authorization={"policies": ["one"]})
    world.service("wiki.default", isPublic=False)
    before = world.replica.fork()
    world.service("wiki.default", isPublic=True)
    workshop = Workshop(world.now)
    (changed,) = Pairs(Seen(before, workshop), Seen(world.replica, workshop)).changes()
    assert not changed.before.depends_on
    assert list(changed.after.depends_on) == ['ctx.session.status.type == "CLIENT"']
