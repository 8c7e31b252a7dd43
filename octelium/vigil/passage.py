"""What passes to an upstream without being read: decided once, recorded at its start and end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from octelium.policy.request import NoRequest
from octelium.visibility.record import AccessRecord

if TYPE_CHECKING:
    import asyncio
    import socket

    from octelium.policy.decision import Decision, Watch
    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.served import Host, Served
    from octelium.vigil.vigil import Vigil
    from octelium.visibility.record import AuditSubject


class Passage(ABC):
    """A stream or flow of a client's to a Service.

    `place` is the address and port that were called, `number` the connection's in the log.
    """

    def __init__(
        self, vigil: Vigil, service: ServiceEntry, arrival: Arrival, place: str, number: int
    ) -> None:
        self.arrival = arrival
        self._vigil = vigil
        self._service = service
        self._place = place
        self._number = number
        self._request = NoRequest(arrival.address)
        self._started = time.time()
        self._decision: Decision | None = None
        self._watch: Watch | None = None
        self._client: socket.socket | None = None
        self._upstream: socket.socket | None = None
        self._host: Host | None = None
        """The Session that serves the upstream, if one does."""
        self._task: asyncio.Task[None] | None = None
        self._begun = False
        self._over = False

    @property
    def service_uid(self) -> str:
        """Uid of the Service that is asked."""
        return self._service.uid

    def watch(self) -> None:  # noqa: B027 - none of them has anything to do
        """Nothing: it is watched from its beginning."""

    def disable(self) -> None:
        """End because the Service was disabled."""
        self._fail("the Service was disabled")

    @abstractmethod
    def _fail(self, problem: str) -> None:
        """End for a reason that the log is to tell. May be called twice."""

    @abstractmethod
    def _revoked(self, decision: Decision) -> None:
        """End because it is not allowed any more."""

    @abstractmethod
    def _counts(self) -> tuple[int, int]:
        """Bytes from the client and to it."""

    def _begin(self, decision: Decision) -> None:
        """It is allowed: record that, and have it watched."""
        self._decision = decision
        self._begun = True
        self._record(b"START", decision.error)
        self._watch = self._vigil.decider.watch(
            decision, self._service, self._request, self.arrival, self._revoked
        )

    def _served(self) -> Served:
        """The upstreams that clients serve. Raises Unserviceable if there can be none."""
        return self._vigil.environment.require_served()

    def _served_by(self, host: Host) -> None:
        """A Session serves the upstream: end with it."""
        self._host = host
        host.lost.add(self._host_lost)

    def _host_lost(self) -> None:
        self._fail("the Session that serves the upstream is gone")

    def _finish(self, problem: str) -> None:
        """Record the end, and let go of all but what passes."""
        if self._begun:
            self._record(b"END", problem)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._host is not None:
            self._host.lost.discard(self._host_lost)
            self._served().release(self._host)
        self._vigil.running.discard(self)
        self._vigil.served += 1

    def _record(self, kind: bytes, problem: str) -> None:
        decision, vigil = self._decision, self._vigil
        if decision is None or decision.audit is None:
            return
        subject: AuditSubject = decision.audit  # type: ignore[assignment]  # made by our factory
        received, sent = self._counts()
        vigil.sink.append(
            AccessRecord(
                next(vigil.numbers),
                self._started,
                time.time() - self._started,
                subject,
                kind,
                b"",
                0,
                0,
                received,
                sent,
                self._place.encode(),
                self.arrival.address,
                None,
                None,
                None,
                None,
                self._number,
                problem,
            )
        )
