from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.connect.streams import QUEUE, Instants, Stream, Streams
from octelium.apiserver.lasting.call import LastingCall
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.connect.world import Clock, Way, World, initialize

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction


def message(text: str) -> user.ConnectResponse:
    return user.ConnectResponse(message=user.ConnectResponseMessage(message=text))


@pytest.fixture
def streams(world: World) -> Streams:
    return Streams(world.resources, world.clock)


def texts(way: Way) -> list[str]:
    return [event.message.message for event in way.events]


def test_events_come_in_order_and_then_the_end(streams: Streams) -> None:
    way = Way()
    left: list[Stream] = []
    streams.left = left.append
    stream = streams.open("s", "c", way)
    for text in "abc":
        stream.put(message(text))
    stream.end()
    stream.put(message("late"))
    stream.end(Invalid("", "late"))
    assert texts(way) == ["a", "b", "c"]
    assert way.ended == [None]
    assert left == [stream]
    assert not len(streams)


def test_the_first_end_decides_how(streams: Streams) -> None:
    way = Way()
    stream = streams.open("s", "c", way)
    stream.failed(Invalid("", "wrong"))
    stream.half_closed()
    stream.gone()
    (failure,) = way.ended
    assert isinstance(failure, Invalid)


def test_a_client_that_is_gone_is_told_nothing(streams: Streams) -> None:
    way = Way()
    left: list[Stream] = []
    streams.left = left.append
    stream = streams.open("s", "c", way)
    stream.gone()
    stream.put(message("late"))
    stream.end()
    assert (way.events, way.ended, left) == ([], [], [stream])


def test_who_falls_too_far_behind_is_dropped(streams: Streams) -> None:
    way = Way()
    left: list[Stream] = []
    streams.left = left.append
    stream = streams.open("s", "c", way)
    for _ in range(QUEUE + 1):
        stream.put(message("taken"))
    way.is_behind = True
    for number in range(QUEUE):
        stream.put(message(str(number)))
    assert (way.resets, stream.is_ended) == (0, False)
    stream.put(message("too much"))
    assert (way.resets, stream.is_ended) == (1, True)
    assert (len(way.events), way.ended, left) == (2 * QUEUE + 1, [], [stream])


def test_who_catches_up_may_fall_behind_again(streams: Streams) -> None:
    way = Way()
    stream = streams.open("s", "c", way)
    for _ in range(3):
        way.is_behind = True
        for _ in range(QUEUE):
            stream.put(message("x"))
        way.is_behind = False
        stream.put(message("x"))
    assert not way.resets


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


async def test_a_stream_that_is_reset_leaves_its_connection_in_grace(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    (stream,) = world.service.streams
    outlet = stream._outlet
    assert isinstance(outlet, LastingCall)
    # As the connection does where a client takes nothing: see `Limits.window_timeout`.
    outlet.request_aborted("stream timed out")
    assert len(world.service.streams) == 0
    assert world.session(alice).status.is_connected
    await world.turn(121)
    assert not world.session(alice).status.is_connected
    tunnel.cancel()


async def test_a_late_stream_hears_of_nothing_but_its_end(world: World) -> None:
    streams = Streams(world.resources, world.clock)
    end = streams.follow()
    alice = await world.add_session()
    way = Way()
    stream = streams.open_late(alice.metadata.uid, "gone", way)
    stream.disconnect("over")
    assert len(streams) == 0
    (event,) = way.events
    assert event.disconnect.message == "over"
    assert way.ended == [None]
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
