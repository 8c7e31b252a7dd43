"""The datagrams of the private network, from a listening socket to who serves their mode."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from octelium.http.tasks import spawn
from octelium.ingress import datagrams
from octelium.replica.addresses import text
from octelium.replica.arrival import Tunnel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from octelium.ingress.counters import PrivateCounters
    from octelium.ingress.datagrams import Datagram, Place
    from octelium.ingress.server import Freshness
    from octelium.replica.replica import Replica, ServiceEntry

_MOST_HELD: Final = 1024
"""Datagrams that wait for the replica."""


class DatagramMode(Protocol):
    """Serves datagrams of one mode."""

    def datagram(
        self,
        service: ServiceEntry,
        arrival: Tunnel,
        place: Place,
        sender: Place,
        data: bytes,
        reply: Callable[[bytes], None],
    ) -> None:
        """Take a datagram to `place`; `reply` sends one from there to its sender, or drops it."""


class PrivateDatagrams:
    """Finds out which Session sent a datagram to which Service; `flows` by the modes' numbers.

    Datagrams wait, in their order, for at most `catch_up_timeout` seconds for the replica.
    """

    def __init__(
        self,
        replica: Replica,
        freshness: Freshness,
        flows: Mapping[int, DatagramMode],
        counters: PrivateCounters,
        catch_up_timeout: float,
    ) -> None:
        self._replica = replica
        self._freshness = freshness
        self._flows = flows
        self._counters = counters
        self._catch_up_timeout = catch_up_timeout
        self._held: deque[tuple[int, socket.socket, Datagram]] = deque()

    def take(self, port: int, listener: socket.socket) -> None:
        """Take one datagram from a socket that is bound to `port`.

        Raises:
            BlockingIOError: there is none.
            OSError: see recvmsg(2).
        """
        datagram = datagrams.receive(listener)
        self._counters.datagrams += 1
        if datagram is None:
            self._counters.bad_datagrams += 1
        elif self._freshness.up_to_date() and not self._held:
            self._deliver(port, listener, datagram)
        elif len(self._held) >= _MOST_HELD:
            self._counters.over_limit += 1
        else:
            self._counters.behind += 1
            self._held.append((port, listener, datagram))
            if len(self._held) == 1:
                spawn(self._deliver_later(), name="catch up")

    async def _deliver_later(self) -> None:
        fresh = await self._freshness.catch_up(self._catch_up_timeout)
        held, self._held = self._held, deque()
        if not fresh:
            self._counters.refused_behind += len(held)
            return
        for one in held:
            self._deliver(*one)

    def _deliver(self, port: int, listener: socket.socket, datagram: Datagram) -> None:
        service = self._replica.service_at(datagram.to)
        mode = None if service is None else self._flows.get(service.mode)
        if service is None or mode is None or service.port != port:
            self._counters.unknown_service += 1
            return
        session = self._replica.session_at(datagram.sender[0])
        if session is None or not datagrams.is_address(datagram.sender):
            self._counters.unknown_address += 1
            return

        def reply(data: bytes) -> None:
            with contextlib.suppress(OSError):  # as any datagram, it may be lost
                datagrams.send(listener, data, datagram.to, datagram.sender)

        mode.datagram(
            service,
            Tunnel(session.uid, datagram.sender[0]),
            (text(datagram.to), port),
            datagram.sender,
            datagram.data,
            reply,
        )
