"""Bytes from one transport to another, and back: for streams that are encrypted on a side of ours.

What both sides send in the clear goes by `splicing`, which costs less.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from octelium.http.tls import TLSLayer
from octelium.vigil.splicing import reset
from octelium.vigil.stalls import Stalls, kernel_bytes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from octelium.http.exchange import ByteTransport


class Coupling:
    """Joins two transports, whose protocols are `client` and `upstream`.

    Nothing is read before `start`, for which both must be connected. `received` counts bytes from
    the client, `sent` bytes to it. Each side may end its half while the other goes on.
    `ended(error)` is called once, when both halves have ended or a side is lost, with what broke or
    None; from then on nothing else is. `stalls` bound what may stand still, in the share of
    `owner`.
    """

    def __init__(
        self, ended: Callable[[Exception | None], None], stalls: Stalls | None = None
    ) -> None:
        self.owner = ""
        self.stalls = stalls or Stalls()
        self._ended: Callable[[Exception | None], None] | None = ended
        self._started = False
        self.client = End(self)
        self.upstream = End(self)
        self.client.other, self.upstream.other = self.upstream, self.client

    @property
    def over(self) -> bool:
        """Whether nothing is passed on any more."""
        return self._ended is None

    @property
    def received(self) -> int:
        """Bytes that came from the client."""
        return self.client.count

    @property
    def sent(self) -> int:
        """Bytes that came from the upstream."""
        return self.upstream.count

    def start(self) -> None:
        """Begin to read."""
        self._started = True
        self.client.begin()
        self.upstream.begin()

    def abort(self) -> None:
        """Break both connections off; `ended` is not called."""
        self._ended = None
        self._release()
        self.client.abort()
        self.upstream.abort()

    def lost(self, error: Exception | None) -> None:
        """A transport is gone, or both halves have ended."""
        ended, self._ended = self._ended, None
        self._release()
        if ended is None:
            return
        if error is None:
            self.client.close()
            self.upstream.close()
        else:
            self.client.abort()
            self.upstream.abort()
        ended(error)

    def _release(self) -> None:
        self.stalls.release(self.client)
        self.stalls.release(self.upstream)


class End(asyncio.Protocol):
    """The protocol of one side, and the direction to it."""

    def __init__(self, coupling: Coupling) -> None:
        self.other: End = self
        self.count = 0
        self.ended = False
        """Whether this side sends no more."""
        self.blocked = False
        """Whether this side takes no more for now."""
        self._coupling = coupling
        self._transport: ByteTransport | None = None
        self._reading = False
        self._finishing = False
        """Whether the other side has ended and this one is to be told."""

    def begin(self) -> None:
        """Read."""
        self._reading = True
        if self.other.blocked:
            self.pause()
        elif self._transport is not None:
            self._transport.resume_reading()

    def pause(self) -> None:
        """Read no more for now."""
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        # Not asked is whether it is closing: a TLS layer says so when it has ended its half.
        if not self._reading and self._transport is not None and not self._coupling.over:
            self._reading = True
            self._transport.resume_reading()
            if self._finishing:
                asyncio.get_running_loop().call_soon(self.finish)

    def write(self, data: bytes) -> None:
        """Send to this side."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def finish(self) -> None:
        """Tell this side that nothing more comes.

        Not while its reading is paused: a TLS layer forgets what it has not decrypted by then.
        """
        self._finishing = True
        if self._transport is not None and self._reading and not self._transport.is_closing():
            self._finishing = False
            self._transport.write_eof()

    def close(self) -> None:
        """Close after what is queued."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, so that the peer sees that the stream is incomplete."""
        if self._transport is not None:
            about = getattr(self._transport, "get_extra_info", None)  # a TLS layer has none
            connection = None if about is None else about("socket")
            if connection is not None:
                reset(connection)
            self._transport.abort()

    # The asyncio Protocol.

    def connection_made(self, transport: Any) -> None:
        """Connected: wait for the other side."""
        self._transport = transport
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.count += len(data)
        self.other.write(data)

    def eof_received(self) -> bool:
        """This side sends no more; the other may."""
        self.ended = True
        if self.other.ended:
            self._coupling.lost(None)
            return False
        self.other.finish()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """This side is gone."""
        if self.ended and self.other.ended:
            error = None
        elif error is None:
            error = ConnectionResetError("the connection ended without an end of its stream")
        self._coupling.lost(error)

    def pause_writing(self) -> None:
        """This side takes no more for now."""
        self.blocked = True
        self.other.pause()
        if not self._coupling.over:
            self._coupling.stalls.hold(self)

    def resume_writing(self) -> None:
        """This side takes more."""
        self.blocked = False
        self._coupling.stalls.release(self)
        self.other.resume()

    # What stands still.

    @property
    def owner(self) -> str:
        """Whose share it takes."""
        return self._coupling.owner

    def held(self) -> int:
        """Bytes that wait to go to this side, here and in the kernel."""
        waiting = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return waiting + kernel_bytes(self.other.connection, self.connection)

    def give_up(self, error: OSError) -> None:
        """End the stream."""
        self._coupling.lost(error)

    @property
    def connection(self) -> socket.socket | None:
        """What it is on, beneath TLS too."""
        beneath: Any = self._transport
        if isinstance(beneath, TLSLayer):
            beneath = beneath.below
        about = getattr(beneath, "get_extra_info", None)
        return None if about is None else about("socket")
