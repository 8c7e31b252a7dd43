"""Connections to upstreams, kept while they are of use."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from octelium.http.codec import Codec
from octelium.http.exchange import Failure, UpstreamError
from octelium.http.h1.client import H1Client
from octelium.http.tasks import spawn
from octelium.http.tls import TLSLayer
from octelium.http.waiting import WaitingStream

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable, Container

    from octelium.http.exchange import (
        ResponseReceiver,
        UpstreamConnection,
        UpstreamStream,
    )
    from octelium.http.message import UpstreamRequest
    from octelium.http.section import SectionCache
    from octelium.http.ticker import Ticker

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests are sent: a host and port, or the path of a Unix socket.

    Origins are equal when connections to them may be shared. `tls_key` names the settings of
    `tls`, which itself does not count; `owner` keeps apart what must not be shared.
    """

    host: str
    port: int
    path: str | None = None
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    upgrade_tls: ssl.SSLContext | None = field(default=None, compare=False)
    """In place of `tls` for connections that must not become HTTP/2."""
    tls_key: str = ""
    server_name: str | None = None
    h2: bool = False
    owner: str = ""
    dial: Callable[[], Awaitable[socket.socket]] | None = field(default=None, compare=False)
    """Makes connections in place of the event loop. Raises OSError, TimeoutError among them."""

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of a pool: seconds and counts."""

    connect_timeout: float = 30.0
    handshake_timeout: float = 10.0
    idle_timeout: float = 90.0
    idle_per_origin: int = 256
    connections_per_origin: int = 3000
    """Those that are being made included."""
    waiting_per_origin: int = 1000
    """Requests that wait for a connection of HTTP/2."""
    unused_origin: float = 600.0


class H2Factory(Protocol):
    """Makes the codec of an HTTP/2 connection; like `H1Client` but for many exchanges at once."""

    def __call__(
        self, released: Callable[[Any], None], lost: Callable[[Any], None]
    ) -> H2Connection:
        """A codec that calls `released` when it can take another exchange and `lost` at its end."""


class H2Connection(Codec, Protocol):
    """A codec that is an `UpstreamConnection` too."""

    def available(self) -> bool:
        """See `UpstreamConnection.available`."""

    def idle(self) -> bool:
        """See `UpstreamConnection.idle`."""

    def open(
        self, request: UpstreamRequest, receiver: ResponseReceiver, data: bytes, end: bool
    ) -> UpstreamStream:
        """See `UpstreamConnection.open`."""

    def close(self) -> None:
        """See `UpstreamConnection.close`."""


class UpstreamPool:
    """All connections of a process to upstreams."""

    def __init__(
        self,
        *,
        sections: SectionCache,
        ticker: Ticker,
        h2: H2Factory | None = None,
        limits: PoolLimits | None = None,
    ) -> None:
        self.sections = sections
        self.ticker = ticker
        self.h2 = h2
        self.limits = limits or PoolLimits()
        self._origins: dict[Origin, OriginPool] = {}
        self._live: set[OriginPool] = set()
        """What may have connections, whoever else still holds it."""
        ticker.add(self)

    def at(self, origin: Origin) -> OriginPool:
        """The connections to `origin`. Callers may keep the result, and should."""
        pool = self._origins.get(origin)
        if pool is None:
            pool = self._origins[origin] = OriginPool(self, origin)
            self._live.add(pool)
        return pool

    def separate(self, origin: Origin) -> OriginPool:
        """Connections to `origin` that only those share who have the result."""
        pool = OriginPool(self, origin)
        self._live.add(pool)
        return pool

    def revive(self, pool: OriginPool) -> None:
        """Look after `pool` again, if it was given up as unused: it is about to connect."""
        if pool not in self._live:
            self._live.add(pool)
            if not pool.retired:
                self._origins.setdefault(pool.origin, pool)

    def retire(self, owner: str, places: Container[tuple[str, int]]) -> None:
        """Give up the connections of `owner` to hosts and ports: they last as long as exchanges."""
        for pool in tuple(self._live):
            origin = pool.origin
            if origin.owner == owner and (origin.host, origin.port) in places:
                if self._origins.get(origin) is pool:
                    del self._origins[origin]
                pool.retire()

    def open(
        self,
        origin: Origin,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes = b"",
        *,
        end: bool,
    ) -> UpstreamStream:
        """Send a request to `origin`; see `OriginPool.open`."""
        return self.at(origin).open(request, receiver, data, end)

    def tick(self, now: float) -> None:
        """Close what has been idle for too long."""
        for pool in tuple(self._live):
            pool.expire(now)
            if not pool.busy() and now - pool.last_used > self.limits.unused_origin:
                self._live.discard(pool)
                if self._origins.get(pool.origin) is pool:
                    del self._origins[pool.origin]

    def counts(self) -> tuple[int, int]:
        """Connections that exist, and how many of them are idle."""
        pools = self._live
        return sum(len(p.connections) for p in pools), sum(len(p.idle) for p in pools)

    def close(self) -> None:
        """Close every connection; running exchanges fail."""
        self.ticker.discard(self)
        for pool in self._live:
            pool.close()


class OriginPool:
    """The connections to one origin."""

    def __init__(self, pool: UpstreamPool, origin: Origin) -> None:
        self.origin = origin
        self.last_used = pool.ticker.now
        self.connections: set[UpstreamConnection] = set()
        self.idle: list[H1Client] = []
        """HTTP/1.1 connections without an exchange, the last used at the end."""
        self.retired = False
        """Whether connections end with their exchanges."""
        self._most_idle = pool.limits.idle_per_origin
        self._pool = pool
        self._ticker = pool.ticker
        self._shared: list[H2Connection] = []
        self._waiting: list[_Pending] = []
        self._dialling = 0
        self._connecting = 0
        """Connections that are being made, of either version."""

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        """Send `request`, on a connection that exists or on a new one.

        Synchronous when there is a connection. `fresh` asks for one that has not served yet.
        Failures come to `receiver.response_failed`, never from within this call.
        """
        if not fresh:
            idle = self.idle
            while idle:
                connection = idle.pop()
                if connection.available():
                    return connection.open(request, receiver, data, end)
            if self._shared and request.upgrade is None:
                for shared in self._shared:
                    if shared.available():
                        self.last_used = self._ticker.now
                        return shared.open(request, receiver, data, end)
        self.last_used = self._ticker.now
        pending = _Pending(request, receiver, data, end)
        h2 = self.origin.h2 and request.upgrade is None
        if h2:
            if len(self._waiting) >= self._pool.limits.waiting_per_origin:
                self._waiting = [one for one in self._waiting if not one.over]
                if len(self._waiting) >= self._pool.limits.waiting_per_origin:
                    error = UpstreamError(
                        Failure.UNREACHABLE, "too many requests wait", untouched=True
                    )
                    asyncio.get_running_loop().call_soon(pending.fail, error)
                    return pending
            self._waiting.append(pending)
            if self._dialling:
                return pending
        self._dialling += h2
        spawn(self._dial(pending, h2=h2), name=f"connect to {self.origin}")
        return pending

    def ready(self, *, upgrade: bool) -> bool:
        """Whether a request, perhaps for an upgrade, would be sent on a connection that exists."""
        return any(one.available() for one in self.idle) or (
            not upgrade and any(one.available() for one in self._shared)
        )

    def close(self) -> None:
        """Close every connection; running exchanges fail."""
        for connection in tuple(self.connections):
            connection.close()

    def retire(self) -> None:
        """Keep no connection any longer than its exchanges last."""
        self.retired = True
        self._most_idle = 0
        for connection in (*self.idle, *(one for one in self._shared if one.idle())):
            connection.close()

    def busy(self) -> bool:
        """Whether there are connections, or will be."""
        return bool(self.connections or self._connecting)

    def expire(self, now: float) -> None:
        """Close connections that nobody has used for a while."""
        limit = now - self._pool.limits.idle_timeout
        while self.idle and (self.idle[0].idle_since < limit or not self.idle[0].available()):
            self.idle.pop(0).close()
        if self.retired or now - self.last_used > self._pool.limits.idle_timeout:
            for connection in list(self._shared):
                if connection.idle():
                    connection.close()

    def _release(self, connection: H1Client) -> None:
        if len(self.idle) < self._most_idle:
            connection.idle_since = self.last_used = self._ticker.now
            self.idle.append(connection)
        else:
            connection.close()

    def _release_shared(self, connection: H2Connection) -> None:
        self.last_used = self._ticker.now
        while self._waiting and connection.available():
            self._waiting.pop(0).start(connection)

    def _lose(self, connection: UpstreamConnection) -> None:
        self.connections.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if connection in self._shared:
            self._shared.remove(connection)

    async def _dial(self, pending: _Pending, *, h2: bool) -> None:
        error: UpstreamError | None = None
        connection: UpstreamConnection | None = None
        try:
            connection = await self._connect(h2=h2)
        except UpstreamError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - whoever waits must be told of a bug, too
            _LOG.exception("connecting to %s failed", self.origin)
            error = UpstreamError(Failure.UNREACHABLE, str(failure), untouched=True)
        finally:
            self._dialling -= h2
        if connection is None:
            assert error is not None
            failed = self._waiting if h2 else [pending]
            if h2:
                self._waiting = []
            for waiting in failed:
                waiting.fail(error)
        elif isinstance(connection, H1Client):
            self._start_on(connection, pending, h2=h2)
        else:
            self._release_shared(connection)  # type: ignore[arg-type]  # the only other kind
            if self._waiting and not self._dialling:
                self._dialling += 1
                spawn(self._dial(self._waiting[0], h2=True), name=f"connect to {self.origin}")

    def _start_on(self, connection: H1Client, pending: _Pending, *, h2: bool) -> None:
        """The new connection speaks HTTP/1.1, though HTTP/2 may have been hoped for."""
        if not h2:
            if pending.over:
                self._release(connection)
            else:
                pending.start(connection)
            return
        waiting, self._waiting = self._waiting, []
        first = True
        for one in waiting:
            if one.over:
                continue
            if first:
                one.start(connection)
                first = False
            else:
                spawn(self._dial(one, h2=False), name=f"connect to {self.origin}")
        if first:
            self._release(connection)

    async def _connect(self, *, h2: bool) -> UpstreamConnection:
        """Open a connection, if there may be another.

        Raises:
            UpstreamError: that failed, or took too long.
        """
        if len(self.connections) + self._connecting >= self._pool.limits.connections_per_origin:
            raise UpstreamError(Failure.UNREACHABLE, "too many connections", untouched=True)
        self._pool.revive(self)
        self._connecting += 1
        try:
            connection = await self._establish(h2=h2)
        finally:
            self._connecting -= 1
        self.connections.add(connection)
        return connection

    async def _establish(self, *, h2: bool) -> UpstreamConnection:
        """Make a connection.

        Raises:
            UpstreamError: that failed, or took too long.
        """
        limits = self._pool.limits
        origin = self.origin
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[UpstreamConnection] = loop.create_future()

        def established(codec: Codec) -> None:
            if not ready.done():
                ready.set_result(codec)  # type: ignore[arg-type]  # both codecs are connections

        def secured(layer: TLSLayer) -> Codec:
            codec = self._codec(h2=h2 and layer.ssl.selected_alpn_protocol() == "h2")
            loop.call_soon(established, codec)
            return codec

        def failed(error: Exception) -> None:
            if not ready.done():
                ready.set_exception(UpstreamError(Failure.TLS, str(error), untouched=True))

        def protocol() -> asyncio.Protocol:
            if origin.tls is None:
                codec = self._codec(h2=h2)
                loop.call_soon(established, codec)
                return codec  # type: ignore[return-value]  # asyncio only asks for the methods
            return TLSLayer(
                origin.tls if h2 else origin.upgrade_tls or origin.tls,
                secured,
                failed,
                server_side=False,
                server_hostname=origin.server_name or origin.host,
            )

        transport: asyncio.BaseTransport | None = None
        try:
            async with asyncio.timeout(limits.connect_timeout):
                if origin.dial is not None:
                    connected = await origin.dial()
                    transport, _ = await loop.create_connection(protocol, sock=connected)
                elif origin.path is not None:
                    transport, _ = await loop.create_unix_connection(protocol, origin.path)
                else:
                    transport, _ = await loop.create_connection(protocol, origin.host, origin.port)
            async with asyncio.timeout(limits.handshake_timeout):
                connection = await ready
        except TimeoutError:
            if transport is not None:
                transport.close()
                raise UpstreamError(Failure.TLS, "handshake timed out", untouched=True) from None
            raise UpstreamError(Failure.CONNECT_TIMEOUT, str(origin), untouched=True) from None
        except (OSError, ValueError, UnicodeError) as error:
            raise UpstreamError(
                Failure.UNREACHABLE, f"{origin}: {error}", untouched=True
            ) from error
        if transport.is_closing():
            raise UpstreamError(Failure.CLOSED, "before the first request", untouched=True)
        return connection

    def _codec(self, *, h2: bool) -> Codec:
        if not h2:
            return H1Client(self._pool.sections, self._release, self._lose)
        if self._pool.h2 is None:
            raise RuntimeError("the pool was made without HTTP/2")
        connection = self._pool.h2(self._release_shared, self._lose)
        self._shared.append(connection)
        return connection


class _Pending(WaitingStream):
    """An exchange that waits for its connection."""

    __slots__ = ()

    def start(self, connection: UpstreamConnection) -> None:
        """Begin on `connection`."""
        if not self.over:
            self._begin(partial(connection.open, self._request, self._receiver))

    def fail(self, error: UpstreamError) -> None:
        """There is no connection."""
        if not self.over:
            self.over = True
            self._receiver.response_failed(error)
