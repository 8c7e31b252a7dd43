"""HTTP requests to upstreams that connected clients serve.

A Session may vanish without a word: a cut link ends no connection. So a connection that stood idle
is not trusted with a request that must not be sent twice, and while an answer is awaited, now and
then a new connection shows whether the Session still is there. A request that can be sent again
goes to another Session if it is not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.tasks import spawn
from octelium.http.waiting import WaitingStream
from octelium.replica.addresses import text
from octelium.vigil.served import NoUpstreamError

if TYPE_CHECKING:
    import socket

    from octelium.http.exchange import ResponseReceiver, UpstreamStream
    from octelium.http.message import Fields, ResponseHead, UpstreamRequest
    from octelium.http.pool import Origin, OriginPool, UpstreamPool
    from octelium.vigil.served import Host, Served

_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_PROBE_AFTER: Final = 1.0
"""Seconds without a response before the Session is asked whether it is there."""
_PROBE_EVERY: Final = 5.0
_TRUSTED: Final = 1.0
"""Seconds for which a Session that was heard of counts as there."""


class Line:
    """The connections to one Session."""

    __slots__ = ("connections", "heard", "made")

    def __init__(self) -> None:
        self.connections: OriginPool = None  # type: ignore[assignment]  # set by its maker
        self.made: deque[socket.socket] = deque()
        """Connected, and about to be used."""
        self.heard = 0.0
        """When the Session was heard of last, in the loop's seconds."""

    async def take(self) -> socket.socket:
        """For the pool: a connection that was made for it."""
        if not self.made:
            raise NoUpstreamError("no connection was made")
        return self.made.popleft()


class ServedPool:
    """The connections to one endpoint's Sessions; opens requests like an `OriginPool`.

    `origin` tells TLS and names; its host and port are not dialled.
    """

    def __init__(
        self, pool: UpstreamPool, served: Served, service_uid: str, user: str, origin: Origin
    ) -> None:
        self.pool = pool
        self.served = served
        self.service_uid = service_uid
        self.user = user
        self._origin = origin
        self._lines: dict[tuple[str, str, int], Line] = {}
        served.pools.add(self)

    def line(self, host: Host) -> Line:
        """The connections to a Session at its present place."""
        address = text(host.addresses[0])
        key = (host.uid, address, host.port)
        line = self._lines.get(key)
        if line is None:
            for old in [one for one in self._lines if one[0] == host.uid]:
                self._lines.pop(old).connections.close()
            line = self._lines[key] = Line()
            origin = replace(
                self._origin,
                host=address,
                port=host.port,
                owner=f"{self._origin.owner} {host.uid}",
                dial=line.take,
            )
            line.connections = self.pool.separate(origin)
        return line

    def prune(self) -> None:
        """Close the connections to Sessions that serve no more, or elsewhere."""
        hosts = self.served.hosts(self.service_uid, self.user, "tcp")
        present = {(one.uid, text(one.addresses[0]), one.port) for one in hosts}
        for key in [one for one in self._lines if one not in present]:
            self._lines.pop(key).connections.close()

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        """See `OriginPool.open`."""
        exchange = ServedExchange(self, request, receiver, data, end)
        exchange.begin(fresh=fresh)
        return exchange


class ServedExchange(WaitingStream):
    """One request, which may be tried at one Session after the other."""

    def __init__(
        self,
        pool: ServedPool,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
    ) -> None:
        super().__init__(request, receiver, data, end)
        self._pool = pool
        self._host: Host | None = None
        self._line: Line | None = None
        self._tried: set[str] = set()
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self._again = end and not data and not request.has_body and request.method in _IDEMPOTENT
        """Whether the request may be sent twice."""

    def begin(self, *, fresh: bool) -> None:
        """Find a Session and send the request, now or once there is a connection."""
        served = self._pool.served
        host = served.choose(self._pool.service_uid, self._pool.user, "tcp", self._tried)
        if host is None:
            asyncio.get_running_loop().call_soon(self._nobody, None)
            return
        self._host = host
        line = self._line = self._pool.line(host)
        now = asyncio.get_running_loop().time()
        known = (
            not fresh
            and line.connections.ready(upgrade=self._request.upgrade is not None)
            and (self._again or line.connections.origin.h2 or now - line.heard < _TRUSTED)
        )
        if known:
            self._send(line, fresh=False)
        else:
            spawn(self._connect(), name="connect to a Session")

    async def _connect(self) -> None:
        """Make a connection to the first Session that takes one."""
        pool, host = self._pool, self._host
        assert host is not None
        last: OSError | None = None
        while host is not None:
            self._tried.add(host.uid)
            try:
                made = await pool.served.connect_to(pool.service_uid, host)
            except OSError as error:
                last = error
                pool.served.avoid(host, error)
                self._release()
                if self.over:
                    return
                host = self._host = pool.served.choose(
                    pool.service_uid, pool.user, "tcp", self._tried
                )
                continue
            if self.over:
                made.close()
                return
            line = self._line = pool.line(host)
            line.heard = asyncio.get_running_loop().time()
            line.made.append(made)
            self._send(line, fresh=True)
            return
        if not self.over:
            self._nobody(last)

    def _send(self, line: Line, *, fresh: bool) -> None:
        self._begin(partial(line.connections.open, self._request, self, fresh=fresh))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_PROBE_AFTER, self._ask)

    # Whether the Session still is there.

    def _ask(self) -> None:
        self._timer = None
        spawn(self._probe(), name="is the Session there")

    async def _probe(self) -> None:
        loop = asyncio.get_running_loop()
        host, line, pool = self._host, self._line, self._pool
        if self.over or self._answered or host is None or line is None:
            return
        if loop.time() - line.heard >= _TRUSTED:
            try:
                made = await pool.served.connect_to(pool.service_uid, host)
            except OSError as error:
                if self.over or self._answered or self._host is not host:
                    return
                pool.served.avoid(host, error)
                others = pool.served.hosts(pool.service_uid, pool.user, "tcp")
                if self._again and any(one.uid not in self._tried | {host.uid} for one in others):
                    self._tried.add(host.uid)
                    self._retry()
                    return
            else:
                made.close()
                line.heard = loop.time()
        if not self.over and not self._answered:
            self._timer = loop.call_later(_PROBE_EVERY, self._ask)

    def _retry(self) -> None:
        """Send the request to another Session."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.reset()
        self._release()
        self.begin(fresh=False)

    # Ends.

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        host, self._host = self._host, None
        if host is not None:
            self._pool.served.release(host)

    def _finish(self) -> None:
        self.over = True
        self._release()
        self._inner = None

    def _nobody(self, error: OSError | None) -> None:
        if self.over:
            return
        self._finish()
        pool = self._pool
        problem = pool.served.nobody(pool.service_uid, pool.user, error)
        self._receiver.response_failed(UpstreamError(Failure.UNREACHABLE, problem, untouched=True))

    # UpstreamStream: towards the Session.

    def reset(self) -> None:
        """See `UpstreamStream`."""
        inner = self._inner
        if not self.over:
            self._finish()
        if inner is not None:
            inner.reset()

    # ResponseReceiver: from the Session.

    def response_informational(self, head: ResponseHead) -> None:
        """See `ResponseReceiver`."""
        self._receiver.response_informational(head)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """See `ResponseReceiver`."""
        self._answered = True
        if self._line is not None:
            self._line.heard = asyncio.get_running_loop().time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if end:
            self._finish()
        self._receiver.response_head(head, data, end)

    def response_data(self, data: bytes) -> None:
        """See `ResponseReceiver`."""
        self._receiver.response_data(data)

    def response_ended(self, trailers: Fields) -> None:
        """See `ResponseReceiver`."""
        self._finish()
        self._receiver.response_ended(trailers)

    def response_failed(self, error: UpstreamError) -> None:
        """See `ResponseReceiver`."""
        host = self._host
        again = self._again and not self._answered and host is not None
        if again and (error.untouched or error.stale) and host is not None:
            if host.uid in self._tried:
                self._pool.served.avoid(host, error)
            self._tried.add(host.uid)
            self._inner = None
            self._release()
            self.begin(fresh=True)
            return
        self._finish()
        self._receiver.response_failed(error)

    def upstream_paused(self) -> None:
        """See `ResponseReceiver`."""
        self._receiver.upstream_paused()

    def upstream_resumed(self) -> None:
        """See `ResponseReceiver`."""
        self._receiver.upstream_resumed()
