"""asyncio Protocols around the cores: bytes in, one write per turn of the loop, time-outs."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, Any, Final

from octelium.http.h2.client import ClientConnection
from octelium.http.h2.frames import ErrorCode
from octelium.http.h2.server import ServerConnection
from octelium.http.h2.settings import CLIENT_LIMITS, SERVER_LIMITS
from octelium.http.stall import Stall
from octelium.http.tls import TLSLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import (
        ByteTransport,
        Handler,
        Peer,
        ResponseReceiver,
        UpstreamStream,
    )
    from octelium.http.h2.connection import Connection
    from octelium.http.h2.settings import Limits
    from octelium.http.message import FieldBlock, UpstreamRequest
    from octelium.http.ticker import Ticker

_LINGER_BYTES: Final = 1 << 20
_STREAM_SWEEP: Final = 10.0
"""Seconds between two looks at which streams stand still."""


class _Shell(asyncio.Protocol):
    """Joins a core and a transport."""

    def __init__(self) -> None:
        self._core: Connection = None  # type: ignore[assignment]  # made with the connection at the latest
        self._transport: ByteTransport = None  # type: ignore[assignment]  # set by connection_made
        self._ending = False
        self._held = False
        self._stall: Stall | None = None

    def connection_made(self, transport: ByteTransport | asyncio.BaseTransport) -> None:
        """Send the preface."""
        self._transport = transport  # type: ignore[assignment]  # all that give bytes have these
        self._core.start()
        self._turn()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._core.receive(data)
        self._turn()

    def eof_received(self) -> bool:
        """The peer sends no more: what is open can neither be flow-controlled nor cancelled."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._ending = True
        self._core.lost("connection closed by the peer" if error is None else str(error))
        self._core.turn()

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        self._core.block()

    def resume_writing(self) -> None:
        """The peer takes more."""
        self._stall = None
        self._core.unblock()

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        core = self._core
        output = core.turn()
        if output and not self._transport.is_closing():
            self._transport.write(output[0] if len(output) == 1 else b"".join(output))  # type: ignore[arg-type]  # a single piece is a whole frame's head or payload
        if core.halted is not self._held:
            self._hold(core.halted)
        if core.closed and not self._ending:
            self._ending = True
            self._hold(False)
            self._close()

    def _hold(self, held: bool) -> None:
        """Let what the peer sends wait outside, or take it again."""
        if held is self._held or (held and self._ending):
            return
        self._held = held
        if self._transport.is_closing():
            return
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _close(self) -> None:
        self._transport.close()


class H2Server(_Shell):
    """One client's connection; like `H1Server`, but for many requests at once."""

    def __init__(
        self,
        peer: Peer,
        handler: Handler,
        *,
        ticker: Ticker,
        refusals: FieldBlock,
        limits: Limits = SERVER_LIMITS,
    ) -> None:
        """`refusals` are the fields of answers to malformed requests."""
        super().__init__()
        self.peer = peer
        self._ticker = ticker
        self._limits = limits
        self._core: ServerConnection = ServerConnection(
            handler,
            peer,
            refusals=refusals,
            clock=time.monotonic,
            wake=self._wake,
            limits=limits,
        )
        self._served = 0
        self._asked = False
        self._lingering = -1
        self._deadline = inf
        self._sweep = 0.0

    def connection_made(self, transport: ByteTransport | asyncio.BaseTransport) -> None:
        """Send the preface and wait for the client's."""
        super().connection_made(transport)
        self._ticker.add(self)
        self._deadline = self._ticker.now + self._limits.first_request

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._lingering >= 0:
            self._lingering -= len(data)
            if self._lingering < 0:
                self._transport.abort()
            return
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._ticker.discard(self)
        super().connection_lost(error)

    def tick(self, now: float) -> None:
        """Enforce the time-outs."""
        core = self._core
        if core.blocked:
            pending = self._transport.get_write_buffer_size()
            if self._stall is None:
                self._stall = Stall(pending, now)
            quiet = self._stall.seconds(pending, now)
            if quiet >= self._limits.send_timeout:
                self._transport.abort()
                return
            if not quiet:
                core.heard = True
        if core.streams and now >= self._sweep:
            self._sweep = now + _STREAM_SWEEP
            core.sweep(now)
        if now < self._deadline:
            return
        if self._ending:
            self._transport.abort()
        elif core.streams:
            self._check_alive(now)
        elif core.served == self._served:
            core.end(ErrorCode.NO_ERROR, "idle")
            self._turn()
        else:
            self._served = core.served
            self._deadline = now + self._limits.idle

    def drain(self) -> None:
        """Close as soon as no request is running."""
        self._core.drain()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _check_alive(self, now: float) -> None:
        core = self._core
        if core.heard:
            core.heard = self._asked = False
            self._deadline = now + self._limits.ping_after
        elif self._asked:
            self._transport.abort()
        else:
            self._asked = True
            core.heads.forget()  # it may be silent for days, and there may be many such
            core.ping()
            self._deadline = now + self._limits.ping_timeout

    def _close(self) -> None:
        """Half-close, but read on for a while: closing with unread bytes would reset the
        connection and could take GOAWAY, and what was answered before it, away from the client.
        """
        if self._transport.is_closing():
            return
        self._deadline = self._ticker.now + self._limits.linger
        if self._transport.can_write_eof():
            self._lingering = _LINGER_BYTES
            self._transport.write_eof()
        else:
            self._transport.close()


class H2Client(_Shell):
    """A connection to an upstream. Satisfies `exchange.UpstreamConnection`.

    `released(connection)` is called whenever it can take a further request after it could not, or
    has become idle, `lost` once when it is gone.
    """

    def __init__(
        self,
        released: Callable[[Any], None],
        lost: Callable[[Any], None],
        *,
        limits: Limits = CLIENT_LIMITS,
    ) -> None:
        super().__init__()
        self._released = released
        self._lost = lost
        self._limits = limits
        self._core: ClientConnection = ClientConnection(
            clock=time.monotonic, wake=self._wake, freed=self._freed, limits=limits
        )

    def connection_made(self, transport: ByteTransport | asyncio.BaseTransport) -> None:
        """The connection can be used."""
        self._core.secure = isinstance(transport, TLSLayer)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(error)
        self._lost(self)

    def available(self) -> bool:
        """See `exchange.UpstreamConnection`."""
        return (
            self._transport is not None
            and self._core.available()
            and not self._transport.is_closing()
        )

    def idle(self) -> bool:
        """See `exchange.UpstreamConnection`."""
        return not self._core.streams

    def open(
        self, request: UpstreamRequest, receiver: ResponseReceiver, data: bytes, end: bool
    ) -> UpstreamStream:
        """See `exchange.UpstreamConnection`."""
        return self._core.open(request, receiver, data, end=end)

    def close(self) -> None:
        """See `exchange.UpstreamConnection`."""
        self._core.end(ErrorCode.NO_ERROR, "connection closed")
        self._turn()

    def _freed(self) -> None:
        self._released(self)
