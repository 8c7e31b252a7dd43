"""Ports of this host that lead to Services."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel import relay
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.flows import Flows
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.client.tunnel.wanted import Publication

_LOG = logging.getLogger(__name__)
_BACKLOG: Final = 256
_MOST: Final = 4096
"""Connections of one port."""
_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE: Final = 0.1
_ENDS: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""Somebody ended a connection without ceremony, as programs do."""
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(slots=True)
class Acceptor:
    """Accepts connections of one TCP socket and joins each with one that `dial` makes.

    `admits` says which peers may connect.
    """

    listening: socket.socket
    dial: Callable[[], Awaitable[socket.socket]]
    admits: Callable[[str], bool] = lambda _: True
    what: str = ""
    """For people."""
    complain: Callable[[str], None] = _LOG.info
    """Told why connections fail, once for each reason in a row."""
    _told: str = ""
    _accepting: asyncio.Task[None] | None = None
    _joined: dict[asyncio.Task[None], socket.socket] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._joined)

    def start(self) -> None:
        """Begin."""
        self.listening.setblocking(False)
        self._accepting = spawn(self._accept(), name=f"accepting for {self.what}")

    async def close(self) -> None:
        """End, with all connections and the listening socket."""
        tasks = [*self._joined] if self._accepting is None else [self._accepting, *self._joined]
        for task in tasks:
            task.cancel()
        if tasks:  # the event loop must have let go of a socket before that is closed
            await asyncio.wait(tasks)
        self.listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(self.listening)
            except OSError as error:
                if error.errno in _SCARCE:
                    _LOG.warning("%s: %s", self.what, error.strerror)
                    await asyncio.sleep(_PAUSE)
                continue
            if len(self._joined) >= _MOST or not self.admits(peer[0]):
                accepted.close()
                continue
            task = spawn(self._serve(accepted), name=f"connection to {self.what}")
            self._joined[task] = accepted
            task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._joined.pop(task).close()  # a task that is cancelled before it began closes nothing

    async def _serve(self, accepted: socket.socket) -> None:
        try:
            relay.prepare(accepted)
            made = await self.dial()
            self._told = ""
            try:
                relay.prepare(made)
                await relay.join(accepted, made)
            except BaseException:
                relay.reset(made)
                raise
            made.close()
        except OSError as error:
            relay.reset(accepted)
            why = f"{self.what}: {error.strerror or error}"
            if self._told != why and error.errno not in _ENDS:
                self._told = why
                self.complain(why)
        except BaseException:
            relay.reset(accepted)
            raise


class Published:
    """The published Services of one connection, whatever becomes of the tunnel."""

    def __init__(
        self,
        dial: Callable[[str], Awaitable[socket.socket]],
        complain: Callable[[str], None] = _LOG.info,
    ) -> None:
        self._dial = dial
        self._complain = complain
        self._running: list[Acceptor | Flows] = []

    def open(self, publication: Publication, *, is_udp: bool) -> None:
        """Listen for a Service.

        Raises:
            TunnelError: it cannot be listened there; nothing has changed.
        """

        async def dial() -> socket.socket:
            return await self._dial(publication.service)

        for made in _listening(publication, is_udp=is_udp):
            if is_udp:
                self._running.append(Flows(made, dial))
                continue
            acceptor = Acceptor(made, dial, what=publication.service, complain=self._complain)
            acceptor.start()
            self._running.append(acceptor)

    async def close(self) -> None:
        """Listen no more, and end all connections."""
        running, self._running = self._running, []
        for each in running:
            if isinstance(each, Flows):
                each.close()
            else:
                await each.close()


def _listening(publication: Publication, *, is_udp: bool) -> list[socket.socket]:
    made: list[socket.socket] = []
    kind = socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM
    try:
        for address in publication.addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                one = socket.socket(family, kind)
            except OSError:
                if made:  # no IPv6 here, and localhost is more than that
                    continue
                raise
            try:
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if not is_udp:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((address, publication.port))
                if not is_udp:
                    one.listen(_BACKLOG)
            except OSError as error:
                one.close()
                if made and error.errno in _NOT_HERE:
                    continue
                raise
            made.append(one)
    except OSError as error:
        for one in made:
            one.close()
        raise TunnelError(
            f"{publication.service} cannot be published at {publication}: "
            f"{error.strerror or error}",
            "choose a port above 1023 with -p: the others are root's"
            if error.errno in (errno.EACCES, errno.EPERM)
            else "choose another port or address with -p",
        ) from error
    return made
