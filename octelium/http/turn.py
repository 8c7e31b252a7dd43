"""Writes of one turn of the event loop leave together at its end.

A write to a peer that sleeps wakes it, which costs several microseconds; when many are written in a
row, the peer is awake from the first on. So what a turn produces for all connections is collected
and sent when everything that was ready has been handled. Nothing waits longer than that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from octelium.http.exchange import ByteTransport

_MUCH = 16 * 1024
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def collected(transport: ByteTransport | asyncio.BaseTransport) -> ByteTransport:
    """`transport`, with writes that leave at the end of the loop's turn.

    The transport itself where no loop runs, or where what is below it collects already.
    """
    plain = cast("ByteTransport", transport)
    if getattr(transport, "collects", False):
        return plain
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return plain
    turn = _TURNS.get(loop)
    if turn is None:
        turn = _TURNS[loop] = Turn(loop)
    return CollectedTransport(plain, turn)


class Turn:
    """What one loop's connections have written since its last turn."""

    __slots__ = ("_call_soon", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._waiting: list[CollectedTransport] = []

    def add(self, transport: CollectedTransport) -> None:
        """Flush `transport` when this turn ends."""
        if not self._waiting:
            self._call_soon(self._end)
        self._waiting.append(transport)

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            transport.flush()


class CollectedTransport:
    """A transport whose writes leave together; satisfies `exchange.ByteTransport`."""

    __slots__ = ("_add", "_pieces", "_transport", "is_closing", "pause_reading", "resume_reading")

    collects = True

    def __init__(self, transport: ByteTransport, turn: Turn) -> None:
        self._transport = transport
        self._add = turn.add
        self._pieces: list[bytes] = []
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send `data` when this turn ends; at once if it is much, which would only take room."""
        pieces = self._pieces
        if len(data) >= _MUCH:
            self.flush()
            self._transport.write(data)
            return
        if not pieces:
            self._add(self)
        pieces.append(data)

    def flush(self) -> None:
        """Send what was written, at once."""
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            if not self._transport.is_closing():
                self._transport.write(data)

    def write_eof(self) -> None:
        """Send what was written, then nothing more."""
        self.flush()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """As the transport's."""
        return self._transport.can_write_eof()

    def close(self) -> None:
        """Send what was written, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._pieces.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Bytes that the peer has not taken."""
        return sum(map(len, self._pieces)) + self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport's."""
        return cast("asyncio.BaseTransport", self._transport).get_extra_info(name, default)
