"""The listening sockets of the private network: one for each port and family of its Services."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Literal, Protocol

from octelium.http.tasks import spawn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)

Kind = Literal["tcp", "udp"]
Listener = tuple[Kind, int, int]
"""Kind, address family and port."""

_AGAIN: Final = 1.0
"""Seconds until what failed is tried again."""
_EXHAUSTED: Final = 0.5
"""Seconds without accepting, when there are no descriptors left."""
_AT_ONCE: Final = 64
"""Connections or datagrams taken in one turn of the loop."""


class PrivateSockets(Protocol):
    """Makes sockets inside the private network; `octelium.tunnel.link` has one.

    Sockets for one port are the same in every process, so that workers share what comes in.
    """

    async def listen(self, kind: Kind, family: int, port: int) -> socket.socket:
        """A listening socket on every address of a family. Raises OSError."""

    async def release(self, kind: Kind, family: int, port: int) -> None:
        """A port is not listened on any more. Raises OSError."""


class PrivateListeners:
    """Keeps the open sockets equal to what is wanted.

    `readable(key, listener)` is called when one has something, and takes one connection or
    datagram; it raises BlockingIOError when there is none.
    """

    def __init__(
        self, sockets: PrivateSockets, readable: Callable[[Listener, socket.socket], None]
    ) -> None:
        self._sockets = sockets
        self._readable = readable
        self._wanted: frozenset[Listener] = frozenset()
        self._open: dict[Listener, socket.socket] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def open(self) -> frozenset[Listener]:
        """What is listened on."""
        return frozenset(self._open)

    def want(self, wanted: frozenset[Listener]) -> None:
        """Listen on these and no others, soon."""
        if wanted == self._wanted or self._closed:
            return
        self._wanted = wanted
        self._changed.set()
        if self._task is None:
            self._task = spawn(self._follow(), name="listeners of the private network")

    def close(self) -> None:
        """Listen no more; the ports stay open in other processes."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for key in list(self._open):
            self._stop(key)

    async def _follow(self) -> None:
        try:
            while self._wanted != self.open:
                self._changed.clear()
                if not await self._reconcile():
                    try:
                        async with asyncio.timeout(_AGAIN):
                            await self._changed.wait()
                    except TimeoutError:
                        continue
        finally:
            self._task = None

    async def _reconcile(self) -> bool:
        """Open and close sockets as wanted; whether nothing failed."""
        well = True
        for key in sorted(self.open - self._wanted):
            self._stop(key)
            try:
                await self._sockets.release(*key)
            except OSError as error:
                _LOG.warning("port %d/%s is not given back: %s", key[2], key[0], error)
        for key in sorted(self._wanted - self.open):
            if key not in self._wanted:  # not any more
                continue
            try:
                listener = await self._sockets.listen(*key)
            except OSError as error:
                _LOG.error("cannot listen on port %d/%s: %s", key[2], key[0], error)
                well = False
                continue
            if self._closed or key not in self._wanted:
                listener.close()
                continue
            listener.setblocking(False)
            self._open[key] = listener
            self._resume(key)
        return well

    def _stop(self, key: Listener) -> None:
        listener = self._open.pop(key)
        asyncio.get_running_loop().remove_reader(listener.fileno())
        listener.close()

    def _resume(self, key: Listener) -> None:
        listener = self._open.get(key)
        if listener is not None:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._take, key)

    def _take(self, key: Listener) -> None:
        listener = self._open.get(key)
        if listener is None:
            return
        try:
            for _ in range(_AT_ONCE):
                self._readable(key, listener)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors, most likely: the socket would stay readable.
            _LOG.error("nothing is taken from port %d/%s for a while: %s", key[2], key[0], error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener.fileno())
            loop.call_later(_EXHAUSTED, self._resume, key)
