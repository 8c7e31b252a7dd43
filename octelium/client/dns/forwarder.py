"""A name server for this host: private names go into the tunnel, all others where they went."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dns.rcode

from octelium.client.dns.cache import Cache
from octelium.client.dns.messages import TCP_SIZE, MessageError, read_query, seconds_kept
from octelium.client.dns.suffixes import is_searched, is_under
from octelium.client.dns.upstreams import UpstreamError, ask, dial_here
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octelium.client.dns.messages import Query
    from octelium.client.dns.upstreams import Dial, Server

_LOG = logging.getLogger(__name__)

PORT: Final = 53
ADDRESSES: Final = tuple(f"127.0.0.{last}" for last in range(100, 120))
"""Where a forwarder may be, the usual place first; the others are for when it is taken."""
_MOST_ASKED: Final = 256
"""Questions under way, of private names and of others each."""
_MOST_STREAMS: Final = 64
_IDLE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Route:
    """Name servers of some suffixes, and how to reach them."""

    suffixes: tuple[str, ...]
    servers: tuple[Server, ...]


class Forwarder:
    """A server at one address, by UDP and TCP.

    Names under the suffixes of `private` are asked for in the tunnel alone, and nowhere at all
    while it is down; those that only a search list makes do not exist then. `others` are the like
    of other clients on this host; it may raise OSError. `former` are the servers for everything
    else.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        is_up: Callable[[], bool] = lambda: True,
        others: Callable[[], Iterable[Route]] = lambda: (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dial = dial
        self._is_up = is_up
        self._others = others
        self._cache = Cache(clock)
        self.private = Route((), ())
        self.former: tuple[Server, ...] = ()
        self._asked = {True: 0, False: 0}
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self.place: Server | None = None
        """Where it is, once it has begun."""

    async def start(self, addresses: Sequence[str] = ADDRESSES, port: int = PORT) -> Server:
        """Serve at the first of some addresses that is free.

        Raises:
            OSError: none is, or the port needs a privilege.
        """
        for number, address in enumerate(addresses, 1):
            try:
                return await self._open(address, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or number == len(addresses):
                    raise
        raise ValueError("no address to serve at")

    def put(self, private: Route, former: Sequence[Server]) -> None:
        """Have other servers, or suffixes; nothing of before is remembered."""
        self.private = private
        self.former = tuple(server for server in former if not self._is_own(server))
        self._cache.clear()

    def _is_own(self, server: Server) -> bool:
        """Whether a question there would come back."""
        if self.place is None or server[1] != self.place[1]:
            return False
        own, other = (ipaddress.ip_address(each[0]) for each in (self.place, server))
        return other == own or (own.is_unspecified and other.is_loopback)

    async def close(self) -> None:
        """End. May be called again."""
        self.place = None
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._streams):
            writer.transport.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def answer(self, wire: bytes, *, stream: bool) -> bytes:
        """The answer to a message; empty if it deserves none."""
        try:
            query = read_query(wire)
        except MessageError as error:
            return error.refusal
        limit = TCP_SIZE if stream else query.size
        try:
            return await self._look_up(query, limit)
        except UpstreamError as error:
            _LOG.debug("%s: %s", query.name, error)
            return query.failure()

    async def _look_up(self, query: Query, limit: int) -> bytes:
        """Raises UpstreamError."""
        is_private = is_under(query.name, self.private.suffixes)
        if is_private and not self._is_up():
            if is_searched(query.name, self.private.suffixes):
                return query.failure(dns.rcode.NXDOMAIN)
            raise UpstreamError("the tunnel is down")
        kept = self._cache.get(query.key)
        if kept is not None:
            return query.answer(kept[0], limit, kept[1])
        if self._asked[is_private] >= _MOST_ASKED:
            raise UpstreamError("too many questions are under way")
        self._asked[is_private] += 1
        try:
            wire = await self._ask(query, is_private)
        finally:
            self._asked[is_private] -= 1
        self._cache.put(query.key, wire, seconds_kept(wire))
        return query.answer(wire, limit)

    async def _ask(self, query: Query, is_private: bool) -> bytes:
        if is_private:
            return await ask(self.private.servers, query, self._dial)
        try:
            others = [*self._others()]
        except OSError as error:  # whose name it is cannot be told, so it goes nowhere
            raise UpstreamError(str(error)) from error
        for route in others:
            if is_under(query.name, route.suffixes):
                return await ask(route.servers, query, dial_here)
        return await ask(self.former, query, dial_here)

    async def _open(self, address: str, port: int) -> Server:
        """Both kinds at the same port. Raises OSError."""
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        stream = socket.create_server((address, port), family=family)
        try:
            port = stream.getsockname()[1]
            loop = asyncio.get_running_loop()
            made, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(address, port)
            )
            self._datagrams = made
            self._server = await asyncio.start_server(self._serve, sock=stream, limit=TCP_SIZE)
        except BaseException:
            stream.close()
            if self._datagrams is not None:
                self._datagrams.close()
            raise
        self.place = (address, port)
        return self.place

    def take(self, wire: bytes, reply: Callable[[bytes], None]) -> None:
        """Answer a datagram in a task, unless there are too many."""
        if len(self._tasks) < _MOST_ASKED * 3:
            self._begin(self._reply(wire, reply), "question")

    async def _reply(self, wire: bytes, reply: Callable[[bytes], None]) -> None:
        answer = await self.answer(wire, stream=False)
        if answer and self.place is not None:
            reply(answer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._streams) >= _MOST_STREAMS or self.place is None:
            writer.transport.abort()
            return
        self._streams.add(writer)
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    wire = await reader.readexactly(size)
                answer = await self.answer(wire, stream=True)
                if not answer:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer)
                async with asyncio.timeout(_IDLE):
                    await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            return  # it has asked all that it wanted to
        finally:
            self._streams.discard(writer)
            writer.close()

    def _begin(self, coroutine: Any, name: str) -> None:
        task = spawn(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._forwarder.take(data, lambda answer: self._transport.sendto(answer, address))
