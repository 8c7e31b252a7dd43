from __future__ import annotations

import asyncio
from typing import Any

import pytest

from octelium.http.turn import CollectedTransport, collected


class Wire:
    """A transport that keeps what happens to it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.events.append(data)

    def write_eof(self) -> None:
        self.events.append("eof")

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 5

    def pause_reading(self) -> None:
        self.events.append("pause")

    def resume_reading(self) -> None:
        self.events.append("resume")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": "p"}.get(name, default)


def over(wire: Wire) -> CollectedTransport:
    made = collected(wire)
    assert isinstance(made, CollectedTransport)
    return made


async def test_what_a_turn_writes_leaves_in_one_piece_at_its_end() -> None:
    wires = [Wire(), Wire()]
    first, second = (over(wire) for wire in wires)
    first.write(b"a")
    second.write(b"x")
    first.write(b"b")
    assert first.get_write_buffer_size() == 7
    assert [wire.events for wire in wires] == [[], []]
    await asyncio.sleep(0)
    assert [wire.events for wire in wires] == [[b"ab"], [b"x"]]
    first.write(b"c")
    await asyncio.sleep(0)
    assert wires[0].events == [b"ab", b"c"]


async def test_much_leaves_at_once_behind_what_was_written_before() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write(b"a")
    transport.write(b"b" * 16384)
    assert wire.events == [b"a", b"b" * 16384]
    transport.write(b"c")
    await asyncio.sleep(0)
    assert wire.events[2:] == [b"c"]


@pytest.mark.parametrize(("method", "last"), [("close", "close"), ("write_eof", "eof")])
async def test_an_end_comes_after_what_was_written(method: str, last: str) -> None:
    wire = Wire()
    transport = over(wire)
    transport.write(b"a")
    getattr(transport, method)()
    assert wire.events == [b"a", last]
    await asyncio.sleep(0)
    assert wire.events == [b"a", last]


async def test_an_abort_loses_what_was_not_sent() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write(b"a")
    transport.abort()
    await asyncio.sleep(0)
    assert wire.events == ["abort"]


async def test_nothing_is_written_to_what_has_closed_meanwhile() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write(b"a")
    wire.closing = True
    await asyncio.sleep(0)
    assert wire.events == []
    assert transport.is_closing()


async def test_the_rest_is_the_transport_s() -> None:
    wire = Wire()
    transport = over(wire)
    transport.pause_reading()
    transport.resume_reading()
    assert wire.events == ["pause", "resume"]
    assert transport.can_write_eof()
    assert transport.get_extra_info("peername") == "p"
    assert transport.get_extra_info("none", 1) == 1


async def test_collecting_once_is_enough() -> None:
    transport: Any = over(Wire())
    assert collected(transport) is transport


def test_without_a_loop_nothing_is_collected() -> None:
    wire: Any = Wire()
    assert collected(wire) is wire


def test_each_loop_has_turns_of_its_own() -> None:
    async def leave_something() -> None:
        over(Wire()).write(b"lost with its loop")

    async def go_on() -> list[Any]:
        wire = Wire()
        over(wire).write(b"a")
        await asyncio.sleep(0)
        return wire.events

    asyncio.run(leave_something())
    assert asyncio.run(go_on()) == [b"a"]
