from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octelium.apiserver.connect.beginnings import MOST, Beginnings, Picked
from octelium.apiserver.connect.session_addresses import LARGEST
from octelium.http.tasks import spawn
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import PermissionDenied, Unavailable
from octelium.store.metadata import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from octelium.store.resources import Transaction
    from tests.apiserver.connect.world import World

PLACES = 3 * MOST + 1


def actor(name: str) -> Actor:
    reference = meta.ObjectReference(name=name, uid=f"uid-{name}")
    return Actor(reference, "octelium.api.main.user.v1.MainService/Connect")


def creating(name: str) -> Callable[[Transaction, Picked], str]:
    def work(tx: Transaction, _: Picked) -> str:
        tx.create(core.Group(metadata=meta.Metadata(name=f"group-{name}")))
        return name

    return work


def refused(_tx: Transaction, _picked: Picked) -> None:
    raise PermissionDenied("no")


async def test_all_that_wait_share_commits_and_each_change_has_its_own_author(
    world: World,
) -> None:
    beginnings, resources = Beginnings(world.resources), world.resources
    names = [f"{number:03}" for number in range(PLACES)]
    before = resources.revision
    done = await asyncio.gather(*(beginnings.begin(actor(one), creating(one)) for one in names))
    assert done == names
    assert resources.revision - before == -(-PLACES // MOST)
    for name in names:
        metadata = resources.get(core.Group, name=f"group-{name}").metadata
        assert metadata.actor_ref.name == name


async def test_who_comes_during_a_commit_is_part_of_the_next(world: World) -> None:
    beginnings, resources = Beginnings(world.resources), world.resources
    before = resources.revision
    others: list[asyncio.Task[str]] = []

    def first(tx: Transaction, picked: Picked) -> str:
        others.extend(
            spawn(beginnings.begin(actor(one), creating(one)), name=one) for one in ("b", "c", "d")
        )
        return creating("a")(tx, picked)

    await beginnings.begin(actor("a"), first)
    await asyncio.gather(*others)
    assert resources.revision == before + 2


async def test_a_refusal_is_of_one_alone(world: World) -> None:
    beginnings = Beginnings(world.resources)
    found = await asyncio.gather(
        beginnings.begin(actor("a"), creating("a")),
        beginnings.begin(actor("b"), refused),
        beginnings.begin(actor("c"), creating("c")),
        return_exceptions=True,
    )
    assert [found[0], found[2]] == ["a", "c"]
    assert isinstance(found[1], PermissionDenied)
    assert world.resources.find(core.Group, name="group-c") is not None


async def test_a_commit_that_fails_is_told_to_all_and_the_next_one_is_tried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginnings, resources = Beginnings(world.resources), world.resources

    async def fails(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(resources._store, "commit", fails)
        found = await asyncio.gather(
            beginnings.begin(actor("a"), creating("a")),
            beginnings.begin(actor("b"), refused),
            beginnings.begin(actor("c"), creating("c")),
            return_exceptions=True,
        )
    assert [type(one) for one in found] == [Unavailable, PermissionDenied, Unavailable]
    assert resources.find(core.Group, name="group-a") is None
    assert await beginnings.begin(actor("a"), creating("a")) == "a"


async def test_nothing_is_done_for_who_has_gone(world: World) -> None:
    beginnings, resources = Beginnings(world.resources), world.resources
    async with resources.transaction():
        one = spawn(beginnings.begin(actor("a"), creating("a")), name="a")
        two = spawn(beginnings.begin(actor("b"), creating("b")), name="b")
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.wait((one,))
    assert await two == "b"
    assert resources.find(core.Group, name="group-a") is None


async def test_a_store_that_is_held_refuses_all_that_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.store.resources._PATIENCE", 0.01)
    beginnings = Beginnings(world.resources)
    async with world.resources.transaction():
        found = await asyncio.gather(
            *(beginnings.begin(actor(one), creating(one)) for one in "abc"), return_exceptions=True
        )
    assert [type(one) for one in found] == [Unavailable] * 3


async def test_at_the_end_those_who_wait_are_refused_and_what_began_is_seen_through(
    world: World,
) -> None:
    beginnings, resources = Beginnings(world.resources), world.resources
    late: list[asyncio.Task[str]] = []

    def first(tx: Transaction, picked: Picked) -> str:
        # In the loop's next turn, when this transaction has been handed over.
        asyncio.get_running_loop().call_soon(end)
        return creating("a")(tx, picked)

    def end() -> None:
        late.append(spawn(beginnings.begin(actor("b"), creating("b")), name="b"))
        late.append(spawn(closing(), name="end"))

    async def closing() -> str:
        await beginnings.close()
        return "closed"

    assert await beginnings.begin(actor("a"), first) == "a"
    found = await asyncio.gather(*late, return_exceptions=True)
    assert isinstance(found[0], Unavailable)
    assert found[1] == "closed"
    assert resources.find(core.Group, name="group-a") is not None
    assert resources.find(core.Group, name="group-b") is None


async def test_who_connects_at_once_gets_an_address_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first one waits until the last one is there.
    monkeypatch.setattr("octelium.store.resources._PATIENCE", 600.0)
    sessions = [await world.add_session(f"member-{number}") for number in range(MOST)]
    for index in range(MOST + 1, LARGEST + 1):
        world.service.registry.addresses.use(index, "others")
    before = world.resources.revision
    async with world.resources.transaction():
        tunnels = [await world.connect(one) for one in sessions]
        while len(world.service._beginnings._waiting) < MOST:
            await asyncio.sleep(0.001)
    states = await asyncio.gather(*(one.state() for one in tunnels))
    assert world.resources.revision == before + 1
    assert len({each.addresses[0].v4 for each in states}) == MOST
    for one, told in zip(sessions, states, strict=True):
        assert world.session(one).status.connection.addresses[0].v4 == told.addresses[0].v4
