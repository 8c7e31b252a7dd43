"""UDP between a listening socket and somewhere else: one connected socket for each peer."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from octelium.http.tasks import spawn

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

_LOG = logging.getLogger(__name__)
IDLE: Final = 120.0
"""Seconds until a flow without packets ends (RFC 4787, REQ-5)."""
MOST: Final = 1024
"""Flows at a time; a new one takes the place of the one that was silent for longest."""
_HELD: Final = 16
"""Datagrams that wait for a new flow's socket."""
_READS: Final = 64
_LONGEST: Final = 65_535

Peer = tuple[Any, ...]


@dataclass(slots=True)
class _Flow:
    peer: Peer
    used: float
    socket: socket.socket | None = None
    dialling: asyncio.Task[None] | None = None
    held: list[bytes] = field(default_factory=list)


class Flows:
    """Passes datagrams of `listening` on to what `dial` connects, and their answers back.

    `admits` says which peers may. Both methods belong to one event loop.
    """

    def __init__(
        self,
        listening: socket.socket,
        dial: Callable[[], Awaitable[socket.socket]],
        *,
        admits: Callable[[str], bool] = lambda _: True,
        most: int = MOST,
        idle: float = IDLE,
    ) -> None:
        self._listening = listening
        self._dial = dial
        self._admits = admits
        self._most = most
        self._idle = idle
        self._flows: OrderedDict[Peer, _Flow] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._loop.add_reader(listening, self._readable)

    def __len__(self) -> int:
        return len(self._flows)

    def close(self) -> None:
        """End all flows, and the listening socket."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        if self._timer is not None:
            self._timer.cancel()
        for flow in [*self._flows.values()]:
            self._end(flow)

    def _readable(self) -> None:
        for _ in range(_READS):
            try:
                data, peer = self._listening.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            except OSError as error:  # of an answer that nobody took, such as ECONNREFUSED
                _LOG.debug("a datagram cannot be received: %s", error)
                continue
            if self._admits(peer[0]):
                self._take(data, peer)

    def _take(self, data: bytes, peer: Peer) -> None:
        flow = self._flows.get(peer)
        if flow is None:
            if len(self._flows) >= self._most:
                self._end(next(iter(self._flows.values())))
            flow = self._flows[peer] = _Flow(peer, self._loop.time())
            flow.dialling = spawn(self._begin(flow), name="UDP flow")
            self._arm()
        self._touch(flow)
        if flow.socket is None:
            if len(flow.held) < _HELD:
                flow.held.append(data)
            return
        self._send(flow.socket, data)

    async def _begin(self, flow: _Flow) -> None:
        try:
            made = await self._dial()
        except OSError as error:
            _LOG.debug("a flow cannot begin: %s", error)
            self._end(flow)
            return
        made.setblocking(False)
        flow.socket, flow.dialling = made, None
        self._loop.add_reader(made, self._answered, flow)
        for data in flow.held:
            self._send(made, data)
        flow.held.clear()

    def _answered(self, flow: _Flow) -> None:
        assert flow.socket is not None
        for _ in range(_READS):
            try:
                data = flow.socket.recv(_LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                # Nobody is there, or the way is gone; the next datagram finds another.
                _LOG.debug("a flow is refused: %s", error)
                self._end(flow)
                return
            self._touch(flow)
            try:
                self._listening.sendto(data, flow.peer)
            except OSError as error:
                _LOG.debug("a datagram cannot be sent back: %s", error)

    @staticmethod
    def _send(to: socket.socket, data: bytes) -> None:
        try:
            to.send(data)
        except OSError as error:  # UDP may lose packets; what is wrong shows when receiving
            _LOG.debug("a datagram cannot be passed on: %s", error)

    def _touch(self, flow: _Flow) -> None:
        flow.used = self._loop.time()
        self._flows.move_to_end(flow.peer)

    def _end(self, flow: _Flow) -> None:
        if self._flows.get(flow.peer) is flow:
            del self._flows[flow.peer]
        if flow.dialling is not None and flow.dialling is not asyncio.current_task():
            flow.dialling.cancel()
        if flow.socket is not None:
            self._loop.remove_reader(flow.socket)
            flow.socket.close()

    def _arm(self) -> None:
        if self._timer is None and self._flows:
            first = next(iter(self._flows.values()))
            self._timer = self._loop.call_at(first.used + self._idle, self._tidy)

    def _tidy(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._flows:
            first = next(iter(self._flows.values()))
            if first.used + self._idle > now:
                break
            self._end(first)
        self._arm()
