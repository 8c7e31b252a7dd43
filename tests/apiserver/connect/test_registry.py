from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.connect.connections import connection_id, mark_of
from octelium.apiserver.connect.registry import GRACE, SEEN
from octelium.apiserver.connect.session_addresses import REST
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import Unavailable
from octelium.store.metadata import reference
from tests.apiserver.connect.world import PATIENCE, Clock, World, new_session, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.store.resources import Committed
    from octelium.store.transaction import Transaction


def index_of(world: World, session: core.Session) -> int:
    mark = mark_of(world.session(session))
    assert mark is not None
    return mark.index


async def test_last_seen_is_renewed_every_five_minutes_in_few_commits(world: World) -> None:
    sessions = [await world.add_session(f"user{number}") for number in range(5)]
    tunnels = [await world.connect(session) for session in sessions]
    for tunnel in tunnels:
        await tunnel.state()
    began = world.clock()
    revision = world.resources.revision
    for _ in range(5):
        await world.turn(SEEN / 5)
    for session in sessions:
        seen = world.session(session).status.connection.last_seen_at.seconds
        assert began < seen <= world.clock()
    assert world.resources.revision == revision + 1


async def test_grace_begins_when_the_stream_ends(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    await world.turn(GRACE - 10)
    tunnel.cancel()
    await world.streams(0)
    await world.turn(GRACE - 1)
    assert world.session(alice).status.is_connected
    await world.turn(1)
    assert not world.session(alice).status.is_connected


async def test_the_dead_are_not_seen(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    tunnel.cancel()
    await world.streams(0)
    began = int(world.clock())
    world.service.registry._next_sweep = 0
    await world.turn(GRACE - 1)
    assert world.session(alice).status.connection.last_seen_at.seconds == began


async def test_a_device_that_is_revoked_disconnects(world: World) -> None:
    def add(tx: Transaction) -> tuple[core.Device, core.Session]:
        device = core.Device()
        device.metadata.name = "laptop"
        device.spec.state = core.DeviceSpecState__.ACTIVE
        device = tx.create(device)
        person = core.User()
        person.metadata.name = "alice"
        session = new_session(tx.create(person), world.clock())
        session.status.device_ref.CopyFrom(reference(device))
        return device, tx.create(session)

    device, alice = await world.write(add)
    tunnel = await world.connect(alice)
    await tunnel.state()
    await world.change(device, lambda one: setattr(one.spec, "state", 3))
    assert await tunnel.rest() == ["disconnect"]


async def test_who_is_disabled_while_in_grace_is_ended_too(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    tunnel.cancel()
    await world.streams(0)
    owner = world.resources.get(core.User, name="alice")
    await world.change(owner, lambda one: setattr(one.spec, "is_disabled", True))
    await world.turn()
    assert not world.session(alice).status.is_connected


async def test_who_was_disabled_while_control_was_down_is_ended(tmp_path: Path) -> None:
    clock = Clock()
    async with open_world(tmp_path, clock=clock) as world:
        alice = await world.add_session()
        await (await world.connect(alice)).state()
        await world.service.stop()
        owner = world.resources.get(core.User, name="alice")
        await world.change(owner, lambda one: setattr(one.spec, "is_disabled", True))
    async with open_world(tmp_path, clock=clock) as world:
        await world.turn()
        assert not world.session(alice).status.is_connected


async def test_freed_addresses_rest_across_restarts(tmp_path: Path) -> None:
    clock = Clock()
    async with open_world(tmp_path, clock=clock) as world:
        alice, bob = await world.add_session(), await world.add_session("bob")
        for session in (alice, bob):
            await (await world.connect(session)).state()
        freed = {index_of(world, alice), index_of(world, bob)}
        own = index_of(world, bob)
        clock.now += 5
        await world.write(lambda tx: tx.delete("Session", alice.metadata.uid))
        await world.turn(GRACE + 1)
    async with open_world(tmp_path, clock=clock) as world:
        await world.turn(GRACE + 1)
        addresses = world.service.registry.addresses
        now = clock()
        assert addresses.pick(bob.metadata.uid, now, own) == own
        for index in freed:
            assert addresses.pick("somebody", now, index) != index
        for index in freed:
            assert addresses.pick("somebody", now + REST, index) == index


async def test_a_failing_store_is_tried_again(world: World, monkeypatch: Any) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    tunnel.cancel()
    await world.streams(0)

    def fail(_actor: Any = None) -> Any:
        raise Unavailable("full")

    with monkeypatch.context() as patched:
        patched.setattr(world.resources, "transaction", fail)
        world.clock.now += GRACE
        with pytest.raises(Unavailable):
            await world.service.registry.turn()
    assert world.session(alice).status.is_connected
    await world.turn()
    assert not world.session(alice).status.is_connected


async def test_what_is_due_is_done_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, that is: the next look at all of them would come in an hour."""
    monkeypatch.setattr("octelium.apiserver.connect.registry._TURN", 3600.0)
    ended = asyncio.Event()

    def watch(committed: Committed) -> None:
        for change in committed.changes:
            after = change.after if change.kind == "Session" else None
            if after is not None and not after.message.status.is_connected:
                ended.set()

    async with open_world(tmp_path) as world:
        alice = await world.add_session()
        tunnel = await world.connect(alice)
        await tunnel.state()
        stop = world.resources.subscribe(watch)
        await world.change(alice, lambda one: setattr(one.status, "is_locked", True))
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        stop()


async def test_a_newer_connection_is_not_ended_with_the_older(world: World) -> None:
    alice = await world.add_session()
    await (await world.connect(alice)).state()
    older = connection_id(world.session(alice))
    assert older is not None
    world.service.registry._work.ends[alice.metadata.uid, older] = None
    newer = await world.connect(alice)
    await newer.state()
    await world.turn()
    assert world.session(alice).status.is_connected
    assert connection_id(world.session(alice)) != older


async def test_expired_grace_of_many_is_ended_in_batches(world: World) -> None:
    def add(tx: Transaction) -> None:
        person = core.User()
        person.metadata.name = "many"
        owner = tx.create(person)
        for _ in range(200):
            session = new_session(owner, world.clock())
            session.status.is_connected = True
            session.status.connection.ignore_dns = True
            tx.create(session)

    await world.write(add)
    assert len(world.service.registry) == 200
    before = world.resources.revision
    await world.turn(GRACE)
    assert len(world.service.registry) == 0
    assert world.resources.revision - before == 4
