"""A client's connection to a Service of mode DNS (RFC 7766)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from octelium.replica.arrival import Tunnel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from octelium.http.exchange import Peer
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.dns.limits import Allowance
    from octelium.vigil.dns.server import Dns

IDLE: Final = 10.0
"""Seconds without a whole question after which a connection ends (RFC 7766 §6.2.3)."""
_MOST_WAITING: Final = 64
"""Questions of one connection that are answered at a time; those behind them are not read."""


class DnsStream(asyncio.Protocol):
    """Takes questions one behind the other, and answers each as soon as that can be.

    It is the codec above TLS as well. It ends when its client says so, is idle, sends what is no
    question, or when its Service is disabled.
    """

    def __init__(
        self, dns: Dns, service: ServiceEntry, peer: Peer, place: str, left: Callable[[], None]
    ) -> None:
        self._dns = dns
        self._service = service
        self._peer = peer
        self._place = place
        self._left = left
        self._transport: Any = None
        self._allowance: Allowance | None = None
        self._buffer = bytearray()
        self._waiting = 0
        self._full = False
        self._paused = False
        self._half = False
        self._reading = False
        self._idle: asyncio.TimerHandle | None = None
        self._over = False

    def take(self, connection: socket.socket) -> None:
        """Serve an accepted connection in the clear."""
        connection.setblocking(False)
        self._dns.spawn(self._connect(connection), name="a DNS stream")

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self, connection)
        except OSError:
            connection.close()
            self._end()

    @property
    def service_uid(self) -> str:
        """Uid of the Service that is asked."""
        return self._service.uid

    def watch(self) -> None:
        """Nothing: every question is decided on its own."""

    def disable(self) -> None:
        """End this stream because its Service was disabled."""
        self.abort()

    def abort(self) -> None:
        """End this stream at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    # --- from the transport

    def connection_made(self, transport: Any) -> None:
        """Begin, if this client may."""
        self._transport = transport
        arrival = self._peer.arrival
        if self._over or type(arrival) is not Tunnel:
            self.abort()
            return
        allowance = self._dns.limits.of(arrival.session_uid)
        if not self._dns.may_stream(allowance):
            self.abort()
            return
        self._allowance = allowance
        allowance.streams += 1
        self._dns.vigil.running.add(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Bytes of questions."""
        self._buffer += data
        self._read()

    def eof_received(self) -> bool:
        """The client asks nothing more; what it has asked is answered."""
        self._half = True
        return self._waiting > 0 or self._full

    def pause_writing(self) -> None:
        """The client takes no answers for now, so it may ask nothing either."""
        self._full = True
        self._settle()

    def resume_writing(self) -> None:
        """The client takes answers again."""
        self._full = False
        self._read()

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone."""
        self._end()

    # --- questions

    def _read(self) -> None:
        if self._reading:  # an answer that was at hand
            return
        self._reading = True
        buffer = self._buffer
        while not self._over and not self._full and self._waiting < _MOST_WAITING:
            if len(buffer) < 2:
                break
            size = int.from_bytes(buffer[:2], "big")
            if len(buffer) < 2 + size:
                break
            message = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._ask(message)
        self._reading = False
        self._settle()

    def _ask(self, message: bytes) -> None:
        assert self._allowance is not None
        self._waiting += 1
        self._wait()
        taken = self._dns.message(
            self._service,
            self._peer.arrival,
            self._allowance,
            message,
            self._reply,
            self._place,
            stream=True,
            connection=self._peer.number,
        )
        if not taken:
            self.abort()
        elif self._peer.admitted is not None:
            admitted, self._peer.admitted = self._peer.admitted, None
            admitted()

    def _reply(self, message: bytes) -> None:
        self._waiting -= 1
        if not self._over:
            self._transport.write(len(message).to_bytes(2, "big") + message)
            self._read()

    def _settle(self) -> None:
        """Read or not, end or not, by how things stand."""
        if self._over:
            return
        pause = self._full or self._waiting >= _MOST_WAITING
        if pause != self._paused:
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        if self._half and not self._waiting:
            self._transport.close()

    def _wait(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, self.abort)

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        if self._idle is not None:
            self._idle.cancel()
        if self._allowance is not None:
            self._allowance.streams -= 1
        self._dns.vigil.running.discard(self)
        self._left()
