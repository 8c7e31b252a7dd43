"""Upstreams that connected clients serve: which Session, and a socket to it.

All connected Sessions of a User whose clients serve a Service share its streams: each goes to the
Session with the fewest, in turn where several have as few. One that does not answer within a second
is avoided for a while, and the next is tried.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from typing import TYPE_CHECKING, Final, Literal, Protocol
from weakref import WeakSet

from octelium.http.tasks import spawn
from octelium.replica.addresses import text
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.dialling import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from octelium.replica.addresses import Packed
    from octelium.replica.replica import Replica, SessionEntry

_LOG = logging.getLogger(__name__)

CONNECT: Final = 1.0
"""Seconds for a Session to take a connection."""
AVOIDED: Final = 5.0
"""Seconds for which one that did not is left alone while there are others."""
_HEAD_START: Final = 0.25
"""Seconds before the second address is tried too (RFC 8305, section 5)."""
_L4: Final = core.SessionStatusConnectionUpstreamL4Type__
Kind = Literal["tcp", "udp"]
TRANSPORTS: Final = {"tcp": int(_L4.TCP), "udp": int(_L4.UDP)}


class NoUpstreamError(OSError):
    """No connected Session serves the Service, or none of them answers."""


class PrivateDialler(Protocol):
    """Makes sockets inside the private network; `octelium.tunnel.link` has one."""

    async def dial(self, kind: Kind, family: int, source: str | None = None) -> socket.socket:
        """An unconnected socket, bound to the address `source`. Raises OSError."""


class Pruned(Protocol):
    """Keeps connections to Sessions."""

    def prune(self) -> None:
        """Close those to Sessions that serve no more."""


class Host:
    """A Session as an upstream of one Service."""

    __slots__ = ("addresses", "avoided_until", "lost", "name", "opened", "port", "streams", "uid")

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.lost: set[Callable[[], None]] = set()
        """Called when the Session serves no more, or elsewhere."""
        self.name = ""
        self.addresses: tuple[Packed, ...] = ()
        self.port = 0
        self.streams = 0
        """Streams that are open to it now."""
        self.opened = 0
        """When it was chosen last: a number that grows."""
        self.avoided_until = 0.0


class Served:
    """All upstreams of a process that clients serve. `clock` gives monotonic seconds."""

    def __init__(
        self,
        replica: Replica,
        sockets: PrivateDialler,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._replica = replica
        self._sockets = sockets
        self._clock = clock
        self._wall = wall
        self._turns = itertools.count(1)
        self._hosts: dict[tuple[str, str], dict[str, Host]] = {}
        """By the Service's uid and the transport, then by the Session's uid."""
        self.pools: WeakSet[Pruned] = WeakSet()
        replica.listeners.append(self._changed)

    # Whom to ask.

    def hosts(self, service_uid: str, user: str, kind: str) -> list[Host]:
        """The Sessions of a User that serve a Service now."""
        key = (service_uid, kind)
        known = self._hosts.setdefault(key, {})
        found: dict[str, Host] = {}
        owner = self._replica.users_by_name.get(user)
        for session in self._replica.serving(service_uid):
            if owner is None or session.user_uid != owner.uid:
                continue
            port = self._port(session, key)
            if port is None:
                continue
            host = known.get(session.uid)
            if host is None:
                host = known[session.uid] = Host(session.uid)
            if (host.addresses, host.port) != (session.reachable, port):
                host.addresses, host.port, host.avoided_until = session.reachable, port, 0.0
            host.name = session.name
            found[session.uid] = host
        if not known:
            del self._hosts[key]
        return list(found.values())

    def _port(self, session: SessionEntry, key: tuple[str, str]) -> int | None:
        """Where a Session serves a Service, None if it does not, or must not."""
        owner = self._replica.users.get(session.user_uid)
        if (
            owner is None
            or owner.is_disabled
            or owner.is_locked
            or not session.is_active
            or session.is_locked
            or session.expires_at <= self._wall()
            or not session.reachable
        ):
            return None
        return session.serves.get((key[0], TRANSPORTS[key[1]]))

    def close(self) -> None:
        """Stop following the replica."""
        self._replica.listeners.remove(self._changed)

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        sessions = {uid for kind, uid in changed if kind == "Session"}
        users = any(kind == "User" for kind, _ in changed)
        if not sessions and not users:
            return
        for key, known in list(self._hosts.items()):
            for host in [one for one in known.values() if users or one.uid in sessions]:
                session = self._replica.sessions.get(host.uid)
                port = None if session is None else self._port(session, key)
                if session is None or (session.reachable, port) != (host.addresses, host.port):
                    del known[host.uid]
                    for lost in tuple(host.lost):
                        lost()
            if not known:
                del self._hosts[key]
        for pool in tuple(self.pools):
            pool.prune()

    def choose(
        self, service_uid: str, user: str, kind: str, tried: Container[str] = ()
    ) -> Host | None:
        """The Session for the next stream, None if every one was tried; `release` gives it back."""
        choices = [one for one in self.hosts(service_uid, user, kind) if one.uid not in tried]
        if not choices:
            return None
        now = self._clock()
        host = min(
            choices, key=lambda one: (max(one.avoided_until - now, 0.0), one.streams, one.opened)
        )
        host.streams += 1
        host.opened = next(self._turns)
        return host

    def release(self, host: Host) -> None:
        """A stream has ended for which `choose` was asked."""
        host.streams -= 1

    def avoid(self, host: Host, problem: object) -> None:
        """A Session did not answer."""
        _LOG.warning("Session %s does not answer as an upstream: %s", host.name, problem)
        host.avoided_until = self._clock() + AVOIDED

    def nobody(self, service_uid: str, user: str, error: OSError | None) -> str:
        """What to say when no Session takes a stream."""
        service = self._replica.services.get(service_uid)
        name = service_uid if service is None else service.name
        if error is None:
            return f"no connected Session of User {user} serves {name}"
        told = str(error) or "not in time"
        return f"no connected Session of User {user} that serves {name} answers: {told}"

    # Sockets.

    async def connect(
        self, service_uid: str, user: str, tried: set[str] | None = None
    ) -> tuple[socket.socket, Host]:
        """A connection to the first Session that takes one; `release` the Session in the end.

        Those in `tried` are left out, and those that failed are put there.

        Raises:
            NoUpstreamError: none does.
        """
        tried = set() if tried is None else tried
        last: OSError | None = None
        while (host := self.choose(service_uid, user, "tcp", tried)) is not None:
            tried.add(host.uid)
            try:
                return await self.connect_to(service_uid, host), host
            except OSError as error:
                last = error
                self.release(host)
                self.avoid(host, error)
            except BaseException:
                self.release(host)
                raise
        raise NoUpstreamError(self.nobody(service_uid, user, last)) from last

    async def associate(self, service_uid: str, user: str) -> tuple[socket.socket, Host]:
        """A UDP socket whose one peer is a Session; `release` the Session in the end.

        Raises:
            NoUpstreamError: there is none.
        """
        host = self.choose(service_uid, user, "udp")
        if host is None:
            raise NoUpstreamError(self.nobody(service_uid, user, None))
        last: OSError | None = None
        try:
            for address in host.addresses:
                try:
                    async with asyncio.timeout(CONNECT):
                        return await self._to("udp", service_uid, address, host.port), host
                except OSError as error:
                    last = error
        except BaseException:
            self.release(host)
            raise
        self.release(host)
        raise NoUpstreamError(self.nobody(service_uid, user, last)) from last

    async def connect_to(self, service_uid: str, host: Host) -> socket.socket:
        """A connection to one Session, by IPv6 if that answers in time.

        Raises:
            TimeoutError, OSError: it does not take one.
        """
        addresses = list(host.addresses)
        running: set[asyncio.Task[socket.socket | OSError]] = set()
        last: OSError = NoUpstreamError(f"Session {host.name} has no address")
        try:
            async with asyncio.timeout(CONNECT):
                while addresses or running:
                    if addresses:
                        attempt = self._attempt(service_uid, addresses.pop(0), host.port)
                        running.add(spawn(attempt, name="connect to a Session"))
                    done, running = await asyncio.wait(
                        running,
                        timeout=_HEAD_START if addresses else None,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    made = [task.result() for task in done]
                    connections = [one for one in made if isinstance(one, socket.socket)]
                    for connection in connections[1:]:
                        connection.close()
                    if connections:
                        return connections[0]
                    last = next((one for one in made if isinstance(one, OSError)), last)
                raise last
        finally:
            for task in running:
                task.add_done_callback(_drop)
                task.cancel()

    async def _attempt(
        self, service_uid: str, address: Packed, port: int
    ) -> socket.socket | OSError:
        try:
            return await self._to("tcp", service_uid, address, port)
        except OSError as error:
            return error

    async def _to(self, kind: Kind, service_uid: str, address: Packed, port: int) -> socket.socket:
        """A connected socket. Raises OSError."""
        service = self._replica.services.get(service_uid)
        own = () if service is None else service.addresses
        source = next((one for one in own if len(one) == len(address)), None)
        if source is None:
            raise NoUpstreamError(f"the Service has no address of the family of {text(address)}")
        family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
        made = await self._sockets.dial(kind, family, text(source))
        try:
            made.setblocking(False)
            if kind == "tcp":
                prepare(made)
                await asyncio.get_running_loop().sock_connect(made, (text(address), port))
            else:
                made.connect((text(address), port))
        except BaseException:
            made.close()
            raise
        return made


def _drop(task: asyncio.Task[socket.socket | OSError]) -> None:
    """Close what an attempt has made that nobody waits for any more."""
    if not task.cancelled() and isinstance(made := task.result(), socket.socket):
        made.close()
