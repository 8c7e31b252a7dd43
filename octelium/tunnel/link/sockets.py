"""The link process as its users see it: sockets of the private network, in an event loop.

While the link process is replaced, requests wait, each for a limited time; listening sockets that
were opened before go on, and are given to the new process, so that it hands them to others.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.tunnel.link import doors, open_places, opening
from octelium.tunnel.link.plan import LinkPlan, LinkStatus
from octelium.tunnel.link.protocol import MOST_SOCKETS, ProtocolError, Reply, Request, receive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octelium.tunnel.link.open_places import OpenPlace
    from octelium.tunnel.link.opening import Kind

    Key = tuple[Kind, socket.AddressFamily, int]
    PoolKey = tuple[Kind, socket.AddressFamily]

_LOG = logging.getLogger(__name__)
_RETRY = 0.05
"""Seconds until what may succeed later is tried again."""
_GONE = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN, errno.EPIPE})


class LinkError(OSError):
    """The link process refused, or did not answer in time (ETIMEDOUT)."""


@dataclass(slots=True)
class _Pending:
    """A request without an answer, and its future: the result and descriptors."""

    request: Request
    future: asyncio.Future[tuple[Reply, list[int]]]
    told: bool = False
    """Nobody waits for it: said to each new link process by itself."""
    sent: tuple[int, ...] = ()
    """Descriptors that go with it."""


@dataclass(slots=True)
class LinkSockets:
    """Asks the link process at `path`, or behind a door's outer end, from one event loop.

    `patience` is how many seconds a call waits at most, `spare` how many unconnected sockets of a
    kind are kept ready once one was wanted.
    """

    path: Path | socket.socket
    patience: float = 10.0
    spare: int = 16
    plan: LinkPlan | None = None
    """What each new link process is told; see `configure`."""
    places: frozenset[OpenPlace] = frozenset()
    _channel: socket.socket | None = None
    _retry: asyncio.TimerHandle | None = None
    _number: int = 0
    _closed: bool = False
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _outbox: deque[int] = field(default_factory=deque)
    _listeners: dict[Key, socket.socket] = field(default_factory=dict)
    _spares: dict[PoolKey, deque[socket.socket]] = field(default_factory=dict)
    _filling: set[PoolKey] = field(default_factory=set)
    _waiting: dict[PoolKey, deque[asyncio.Future[socket.socket]]] = field(default_factory=dict)

    async def configure(self, plan: LinkPlan, places: frozenset[OpenPlace] = frozenset()) -> None:
        """Make the private network as planned, now and whenever the link process is replaced.

        `places` are what peers may begin to talk to, if the plan has them listed. One call at a
        time.

        Raises:
            LinkError: it cannot be; the plan before, if any, holds and is kept.
        """
        before, self.plan, self.places = (self.plan, self.places), plan, places
        try:
            with _listed(plan, places) as sent:
                await self._ask(Request(0, "configure", plan=plan), sent)
        except BaseException:
            self.plan, self.places = before
            raise

    async def configured(self, plan: LinkPlan) -> None:
        """Wait until the private network is as planned, by whoever plans it. Raises LinkError."""
        try:
            async with asyncio.timeout(self.patience):
                while (await self.status()).plan != plan:  # noqa: ASYNC110  (another process')
                    await asyncio.sleep(_RETRY)
        except TimeoutError:
            raise _late("a plan") from None

    async def listen(self, kind: Kind, family: int, port: int) -> socket.socket:
        """A socket that listens on a port of every address of a family; the caller's to close.

        Every caller gets the same one, in whatever process. Datagrams come with IP_PKTINFO or
        IPV6_PKTINFO; `getsockname()` of an accepted connection is the address it was for.

        Raises:
            LinkError: refused, or no link process.
        """
        key = (kind, socket.AddressFamily(family), port)
        if key not in self._listeners:
            request = Request(0, "listen", kind=kind, family=key[1], port=port)
            _, (descriptor,) = await self._ask(request)
            made = socket.socket(fileno=descriptor)
            if key in self._listeners:  # somebody asked at the same time
                made.close()
            else:
                self._listeners[key] = made
        # Not .dup(): until the next line the socket would block in every process that has it.
        made = socket.socket(fileno=os.dup(self._listeners[key].fileno()))
        made.setblocking(False)
        return made

    async def release(self, kind: Kind, family: int, port: int) -> None:
        """Listen no more, once every process that did says so. Sockets handed out stay open."""
        key = (kind, socket.AddressFamily(family), port)
        if (made := self._listeners.pop(key, None)) is not None:
            made.close()
            await self._ask(Request(0, "release", kind=kind, family=key[1], port=port))

    async def dial(self, kind: Kind, family: int, source: str | None = None) -> socket.socket:
        """An unconnected socket of the private network, bound to `source` if given.

        Its port is chosen on connecting. The Cluster's side has no address that the kernel would
        choose by itself, so there a source, of the Service subnet, is needed.

        Raises:
            LinkError: refused, or no link process.
        """
        key = (kind, socket.AddressFamily(family))
        pool = self._spares.setdefault(key, deque())
        made = pool.popleft() if pool else await self._next(key)
        if len(pool) <= self.spare // 2:
            self._fill(key)
        if source is not None:
            try:
                made.bind((source, 0))
            except OSError:
                made.close()
                raise
        return made

    async def flow(self, local: tuple[str, int], remote: tuple[str, int]) -> socket.socket:
        """A UDP socket of one flow: bound to the Service's address and port, and connected.

        It gets what comes from `remote` to `local` from now on; what came before is in the
        listening socket.

        Raises:
            LinkError, OSError: refused, no link process, or no such address.
        """
        made = await self.dial("udp", socket.AF_INET6 if ":" in local[0] else socket.AF_INET)
        try:
            opening.dedicate(made, local, remote)
        except BaseException:
            made.close()
            raise
        return made

    async def tun(self) -> int:
        """A descriptor of the TUN device, the caller's to close; one process has it at a time.

        Each packet has `tun.HEADER` bytes before it. While another has it, this waits.

        Raises:
            LinkError: refused, in use (EBUSY), or no link process.
        """
        _, (descriptor,) = await self._ask(Request(0, "tun"))
        return descriptor

    async def status(self) -> LinkStatus:
        """What the link process tells of itself. Raises LinkError."""
        reply, _ = await self._ask(Request(0, "status"))
        return LinkStatus.from_wire(reply.result)

    def close(self) -> None:
        """End everything that waits. Sockets handed out stay open."""
        self._closed = True
        self._disconnect()
        if self._retry is not None:
            self._retry.cancel()
        for pending in list(self._pending.values()):
            if not pending.future.done():
                pending.future.set_exception(LinkError(errno.ECANCELED, "the link is closed"))
        self._pending.clear()
        for made in (
            *self._listeners.values(),
            *(s for pool in self._spares.values() for s in pool),
        ):
            made.close()
        self._listeners.clear()
        self._spares.clear()

    async def _next(self, key: PoolKey) -> socket.socket:
        """A socket once there is one; whoever came first gets the first."""
        future: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(future)
        try:
            self._fill(key)
            async with asyncio.timeout(self.patience):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().close()  # it came as the caller gave up
            future.cancel()
            if isinstance(error, TimeoutError):
                raise _late("sockets") from None
            raise

    def _fill(self, key: PoolKey) -> None:
        """Ask for spare sockets, and for those that are waited for, once at a time for a kind."""
        if key in self._filling:
            return
        waiting = self._waiting.setdefault(key, deque())
        count = max(1, min(max(self.spare, len(waiting)), MOST_SOCKETS))
        future = self._begin(Request(0, "sockets", kind=key[0], family=key[1], count=count))
        self._filling.add(key)

        def filled(done: asyncio.Future[tuple[Reply, list[int]]]) -> None:
            self._filling.discard(key)
            cancelled = LinkError(errno.ECANCELED, "cancelled")
            if (error := cancelled if done.cancelled() else done.exception()) is not None:
                level = logging.DEBUG if self._closed else logging.WARNING
                _LOG.log(level, "no spare %s sockets: %s", key[0], error)
                for one in waiting:
                    if not one.done():
                        one.set_exception(error)
                waiting.clear()
                return
            made = [socket.socket(fileno=number) for number in done.result()[1]]
            for each in made:
                each.setblocking(False)
                if self._closed:
                    each.close()
            if self._closed:
                return
            pool = self._spares.setdefault(key, deque())
            pool.extend(made)
            while waiting and pool:
                if not (first := waiting.popleft()).done():
                    first.set_result(pool.popleft())
            if waiting:
                self._fill(key)

        future.add_done_callback(filled)

    async def _ask(self, request: Request, sent: tuple[int, ...] = ()) -> tuple[Reply, list[int]]:
        """The answer to a request, which waits for a link process if there is none."""
        future = self._begin(request, sent=sent)
        try:
            async with asyncio.timeout(self.patience):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                for descriptor in future.result()[1]:  # it came as the caller gave up
                    os.close(descriptor)
            if isinstance(error, TimeoutError):
                raise _late(request.do) from None
            raise

    def _begin(
        self, request: Request, *, told: bool = False, sent: tuple[int, ...] = ()
    ) -> asyncio.Future[tuple[Reply, list[int]]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Reply, list[int]]] = loop.create_future()
        if self._closed:
            raise LinkError(errno.ECANCELED, "the link is closed")
        number = self._take_number()
        kept = tuple(os.dup(each) for each in sent)  # the caller's may be closed before it is sent
        self._pending[number] = _Pending(_numbered(request, number), future, told, kept)

        def done(_: object) -> None:
            self._pending.pop(number, None)
            for each in kept:
                os.close(each)

        future.add_done_callback(done)
        self._outbox.append(number)
        self._flush()
        return future

    def _take_number(self) -> int:
        self._number = (self._number + 1) % 2**31
        return self._number

    def _flush(self) -> None:
        """Send what waits, or connect first."""
        if self._channel is None:
            if self._retry is None:
                self._connect()
            return
        loop = asyncio.get_running_loop()
        while self._outbox:
            pending = self._pending.get(self._outbox[0])
            try:
                if pending is not None:
                    data = pending.request.encode()
                    socket.send_fds(self._channel, [data], pending.sent, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                loop.add_writer(self._channel, self._writable)
                return
            except OSError:
                self._lost()
                return
            self._outbox.popleft()

    def _writable(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_writer(self._channel)
        self._flush()

    def _connect(self) -> None:
        """Connect, and say again what the process before has not answered."""
        self._retry = None
        if self._closed or self._channel is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            channel = _channel(self.path)
        except OSError as error:
            if error.errno not in _GONE:
                _LOG.warning("cannot reach the link process: %s", error)
            self._retry = loop.call_later(_RETRY, self._connect)
            return
        self._channel = channel
        loop.add_reader(channel, self._readable)
        waiting = [number for number, each in self._pending.items() if not each.told]
        for each in [each for each in self._pending.values() if each.told]:
            each.future.cancel()  # and said anew
        self._outbox.clear()
        if self.plan is not None:
            with _listed(self.plan, self.places) as sent:
                self._tell(Request(0, "configure", plan=self.plan), sent)
        for (kind, family, port), made in self._listeners.items():
            request = Request(0, "adopt", kind=kind, family=family, port=port)
            self._tell(request, (made.fileno(),))
        self._outbox.extend(waiting)
        self._flush()

    def _tell(self, request: Request, sent: tuple[int, ...] = ()) -> None:
        """Ask what nobody waits for; a refusal is logged."""

        def done(future: asyncio.Future[tuple[Reply, list[int]]]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                asked = (each.request.do for each in self._pending.values() if not each.told)
                is_heard = request.do in asked  # whoever asked for the same hears it
                level = logging.DEBUG if self._closed or is_heard else logging.ERROR
                _LOG.log(level, "%s: the link process refused: %s", request.do, error)

        self._begin(request, told=True, sent=sent).add_done_callback(done)

    def _disconnect(self) -> None:
        if self._channel is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._channel)
            loop.remove_writer(self._channel)
            self._channel.close()
            self._channel = None

    def _lost(self) -> None:
        """The process is gone: its socket is kept by others, so the next one is soon there."""
        self._disconnect()
        if not self._closed and self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY, self._connect)

    def _readable(self) -> None:
        while self._channel is not None:
            try:
                data, descriptors = receive(self._channel)
                reply = Reply.decode(data) if data else None
            except BlockingIOError:
                return
            except (OSError, ProtocolError) as error:
                _LOG.warning("the link process does not talk sense: %s", error)
                self._lost()
                return
            if reply is None:
                self._lost()
                return
            self._take(reply, descriptors)

    def _take(self, reply: Reply, descriptors: list[int]) -> None:
        pending = self._pending.get(reply.number)
        if pending is None or pending.future.done() or reply.error:
            for descriptor in descriptors:
                os.close(descriptor)
        if pending is None or pending.future.done():
            return
        if not reply.error:
            pending.future.set_result((reply, descriptors))
        elif reply.again:
            asyncio.get_running_loop().call_later(_RETRY, self._again, reply.number)
        else:
            pending.future.set_exception(LinkError(reply.errno, reply.error))

    def _again(self, number: int) -> None:
        if number in self._pending and not self._closed:
            self._outbox.append(number)
            self._flush()


def _channel(place: Path | socket.socket) -> socket.socket:
    if isinstance(place, socket.socket):
        return doors.knock(place)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        channel.connect(str(place))
    except BaseException:
        channel.close()
        raise
    return channel


@contextmanager
def _listed(plan: LinkPlan, places: frozenset[OpenPlace]) -> Iterator[tuple[int, ...]]:
    """The descriptors that go with a plan."""
    if not plan.is_listed:
        yield ()
        return
    descriptor = open_places.write(places)
    try:
        yield (descriptor,)
    finally:
        os.close(descriptor)


def _numbered(request: Request, number: int) -> Request:
    return Request(
        number,
        request.do,
        request.kind,
        request.family,
        request.port,
        request.count,
        request.plan,
    )


def _late(what: str) -> LinkError:
    return LinkError(errno.ETIMEDOUT, f"the link process did not answer in time: {what}")
