from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.connect.streams import QUEUE, SEND_TIMEOUT, Instants, Stream, Streams
from octelium.http.tasks import spawn
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.connect.world import Clock, World, initialize

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction


def message(text: str) -> user.ConnectResponse:
    return user.ConnectResponse(message=user.ConnectResponseMessage(message=text))


async def test_events_come_in_order_and_then_the_end() -> None:
    stream = Stream("s", "c", Instants(Clock()))
    for text in "abc":
        stream.put(message(text))
    stream.end()
    stream.put(message("late"))
    found = []
    while (event := await stream.next()) is not None:
        found.append(event.message.message)
    assert found == ["a", "b", "c"]
    assert await stream.next() is None


async def test_who_waits_is_woken() -> None:
    stream = Stream("s", "c", Instants(Clock()))
    waiting = spawn(stream.next(), name="a reader")
    await asyncio.sleep(0)
    assert not waiting.done()
    stream.put(message("x"))
    assert await waiting is not None
    waiting = spawn(stream.next(), name="a reader")
    await asyncio.sleep(0)
    assert not waiting.done()
    stream.end()
    assert await waiting is None


async def test_who_gives_up_waiting_misses_nothing() -> None:
    stream = Stream("s", "c", Instants(Clock()))
    waiting = spawn(stream.next(), name="a reader")
    await asyncio.sleep(0)
    waiting.cancel()
    stream.put(message("x"))
    await asyncio.gather(waiting, return_exceptions=True)
    event = await stream.next()
    assert event is not None
    assert event.message.message == "x"


async def test_the_first_end_decides_how() -> None:
    stream = Stream("s", "c", Instants(Clock()))
    stream.end(Invalid("", "wrong"))
    stream.end()
    assert isinstance(stream.failure, Invalid)


async def test_who_falls_too_far_behind_is_dropped() -> None:
    stream = Stream("s", "c", Instants(Clock()))
    aborted = []
    for number in range(QUEUE + 1):
        stream.put(message(str(number)))
        aborted.append(stream.aborted)
    assert aborted == [False] * QUEUE + [True]
    assert await stream.next() is None


def test_times_never_go_backwards() -> None:
    clock = Clock()
    instants = Instants(clock)
    times = []
    for change in (0.0, 5.0, -100.0, 1.0, 200.0):
        clock.now += change
        event = message("x")
        instants.stamp(event)
        times.append(event.created_at.ToMicroseconds())
    assert times == sorted(times)
    assert times[2] == times[1]


async def test_events_are_never_older_than_the_state(world: World) -> None:
    """Clients pass over what is."""
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    state = await tunnel.read()
    world.clock.now -= 3600
    gateway = world.resources.peek_all(core.Gateway)[0]
    await world.change(gateway, lambda one: setattr(one.status.wireguard, "port", 1))
    event = await tunnel.read()
    assert event.WhichOneof("Event") == "update_gateway"
    assert event.created_at.ToMicroseconds() >= state.created_at.ToMicroseconds()


async def test_gateways_that_come_and_go_are_told(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()

    def add(tx: Transaction) -> core.Gateway:
        gateway = core.Gateway()
        gateway.metadata.name = "default-second"
        gateway.status.id = "second00"
        gateway.status.public_i_ps.append("192.0.2.8")
        return tx.create(gateway)

    gateway = await world.write(add)
    assert (await tunnel.event("add_gateway")).gateway.id == "second00"
    await world.change(gateway, lambda one: setattr(one.metadata, "description", "the same"))
    await world.write(lambda tx: tx.delete("Gateway", gateway.metadata.uid))
    assert (await tunnel.event("delete_gateway")).id == "second00"


async def test_a_client_that_takes_nothing_is_left_in_grace(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    (stream,) = world.service.streams
    stream.sending_since = world.clock()
    await world.turn(SEND_TIMEOUT - 1)
    assert len(world.service.streams) == 1
    await world.turn(1)
    assert len(world.service.streams) == 0
    assert await tunnel.rest() == []
    assert world.session(alice).status.is_connected
    await world.turn(121)
    assert not world.session(alice).status.is_connected


async def test_a_late_stream_hears_of_nothing_but_its_end(world: World) -> None:
    streams = Streams(world.resources, world.clock)
    end = streams.follow()
    alice = await world.add_session()
    stream = streams.open_late(alice.metadata.uid, "gone")
    stream.disconnect("over")
    assert len(streams) == 0
    event = await stream.next()
    assert event is not None
    assert event.disconnect.message == "over"
    assert await stream.next() is None
    streams.leave(stream)
    end()


@pytest.mark.parametrize("messages", [1, 3])
async def test_a_half_closed_stream_ends_well(world: World, messages: int) -> None:
    alice = await world.add_session()
    tunnel = world.open(alice)
    await tunnel.write(initialize())
    for _ in range(messages - 1):
        await tunnel.write(user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()))
    await tunnel.call.done_writing()
    assert await tunnel.rest() == ["state"]
    assert world.session(alice).status.is_connected
