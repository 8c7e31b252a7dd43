"""Messages to and from other DNS servers: UDP, TCP, and DNS over TLS (RFC 7766, RFC 7858)."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.vigil.dns.wire import UDP_SIZE
from octelium.vigil.errors import Unserviceable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from octelium.schema.dns_servers import DnsServer
    from octelium.vigil.dns.answers import Question
    from octelium.vigil.served import Served

_IDLE: Final = 15.0
"""Seconds that a stream stays open without questions."""
_CLIENT_PATIENCE: Final = 1.0
"""Seconds for a connected client before another one is asked."""
_MOST_PENDING: Final = 500
_MOST_JUNK: Final = 32
"""Datagrams that are no answer, after which a socket is given up: somebody is guessing."""


class LinkError(Exception):
    """A server gave no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, and how TLS to it is verified: by default with the system's authorities.

    With a `user`, clients of that User serve it to the Service `service_uid`, by datagrams.
    """

    server: DnsServer
    context: ssl.SSLContext | None = None
    user: str = ""
    service_uid: str = ""


class Links:
    """Asks servers. Streams are shared by all questions to a server, and several go at once.

    `served` gives the upstreams at connected clients; it may raise Unserviceable.
    """

    def __init__(self, served: Callable[[], Served] | None = None) -> None:
        self._served = served
        self._streams: dict[Peer, _Stream] = {}
        self._opening: dict[Peer, asyncio.Lock] = {}
        self._context: ssl.SSLContext | None = None

    def close(self) -> None:
        """End all streams."""
        for stream in tuple(self._streams.values()):
            stream.abort("closed")
        self._streams.clear()

    async def datagram(self, peer: Peer, question: Question) -> bytes:
        """Ask by UDP, from a socket of its own: port and id are both to be guessed (RFC 5452).

        Raises:
            LinkError: the server cannot be reached, or junk comes in its name.
        """
        if peer.user:
            return await self._at_client(peer, question)
        address = (peer.server.host, peer.server.port)
        return await _exchange(question, remote_addr=address)

    async def _at_client(self, peer: Peer, question: Question) -> bytes:
        """Ask a resolver that a connected client serves; one that does not answer is avoided."""
        if self._served is None:
            raise LinkError("there is no private network")
        try:
            served = self._served()
            made, host = await served.associate(peer.service_uid, peer.user)
        except (Unserviceable, OSError) as error:
            raise LinkError(str(error)) from error
        try:
            async with asyncio.timeout(_CLIENT_PATIENCE):
                return await _exchange(question, sock=made)
        except (LinkError, TimeoutError) as error:
            served.avoid(host, error or "no answer in time")
            raise
        finally:
            served.release(host)

    async def stream(self, peer: Peer, question: Question) -> bytes:
        """Ask by TCP or TLS.

        Raises:
            LinkError: the server cannot be reached, is not who it should be, or ends the stream.
        """
        kept = self._streams.get(peer)
        if kept is not None and kept.open:
            try:
                return await kept.ask(question)
            except LinkError:  # it may have ended while it was idle
                if kept.open:
                    raise
        stream = await self._open(peer)
        return await stream.ask(question)

    async def _open(self, peer: Peer) -> _Stream:
        lock = self._opening.setdefault(peer, asyncio.Lock())
        try:
            async with lock:
                kept = self._streams.get(peer)
                if kept is not None and kept.open:
                    return kept
                stream = _Stream()
                server = peer.server
                context = self._tls(peer) if server.transport == "tls" else None
                await asyncio.get_running_loop().create_connection(
                    lambda: stream,
                    server.host,
                    server.port,
                    ssl=context,
                    server_hostname=server.host if context is not None else None,
                )
                self._forget_ended()
                self._streams[peer] = stream
                return stream
        except OSError as error:  # of which those of TLS are a kind
            raise LinkError(str(error)) from error

    def _forget_ended(self) -> None:
        if len(self._opening) > _MOST_PENDING:
            held = self._opening.items()
            self._opening = {peer: lock for peer, lock in held if lock.locked()}
        for peer in [peer for peer, stream in self._streams.items() if not stream.open]:
            del self._streams[peer]

    def _tls(self, peer: Peer) -> ssl.SSLContext:
        if peer.context is not None:
            return peer.context
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context


async def _exchange(
    question: Question,
    *,
    remote_addr: tuple[str, int] | None = None,
    sock: socket.socket | None = None,
) -> bytes:
    """One question and its answer on a socket of its own. Raises LinkError."""
    loop = asyncio.get_running_loop()
    exchange = _Datagram(question, secrets.token_bytes(2), loop.create_future())
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: exchange, remote_addr=remote_addr, sock=sock
        )
    except OSError as error:
        raise LinkError(str(error)) from error
    try:
        transport.sendto(exchange.number + question.message(UDP_SIZE))
        return await exchange.answered
    finally:
        transport.close()


class _Datagram(asyncio.DatagramProtocol):
    def __init__(self, question: Question, number: bytes, answered: asyncio.Future[bytes]) -> None:
        self.number = number
        self.answered = answered
        self._question = question
        self._junk = 0

    def datagram_received(self, data: bytes, _address: object) -> None:
        if self.answered.done():
            return
        if data[:2] == self.number and self._question.is_answered_by(data):
            self.answered.set_result(data)
            return
        self._junk += 1
        if self._junk > _MOST_JUNK:
            self.answered.set_exception(LinkError("it sends answers to other questions"))

    def error_received(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(LinkError(str(error)))


class _Stream(asyncio.Protocol):
    """A connection to a server with the questions that are under way on it."""

    def __init__(self) -> None:
        self.open = True
        self._transport: Any = None
        self._buffer = bytearray()
        self._pending: dict[bytes, tuple[Question, asyncio.Future[bytes]]] = {}
        self._received = 0
        self._idle: asyncio.TimerHandle | None = None

    async def ask(self, question: Question) -> bytes:
        if len(self._pending) >= _MOST_PENDING:
            raise LinkError("too many questions are under way")
        number = secrets.token_bytes(2)
        while number in self._pending:
            number = secrets.token_bytes(2)
        message = number + question.message(UDP_SIZE)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[number] = (question, answered)
        received = self._received
        self._rest()
        self._transport.write(len(message).to_bytes(2, "big") + message)
        try:
            return await answered
        except asyncio.CancelledError:
            if self._received == received:  # nothing came in all that time: it may be dead
                self.abort("it does not answer")
            raise
        finally:
            self._pending.pop(number, None)
            self._rest()

    def abort(self, why: str) -> None:
        """End the connection and every question on it."""
        self.open = False
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            self._transport.abort()
        for _, answered in tuple(self._pending.values()):
            if not answered.done():
                answered.set_exception(LinkError(why))

    def connection_made(self, transport: Any) -> None:
        # Those of uvloop are no asyncio.Transport.
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.abort("it ended the stream" if error is None else str(error))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 2 and len(buffer) >= 2 + (size := int.from_bytes(buffer[:2], "big")):
            message = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            question, answered = self._pending.get(message[:2], (None, None))
            if question is None or answered is None:
                continue  # nobody waits for it any more
            if not question.is_answered_by(message):
                self.abort("it answers other questions than it was asked")
                return
            self._received += 1
            if not answered.done():
                answered.set_result(message)

    def _rest(self) -> None:
        """Let the stream end when nobody needs it for a while."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self.open and not self._pending:
            self._idle = asyncio.get_running_loop().call_later(_IDLE, self.abort, "idle")
