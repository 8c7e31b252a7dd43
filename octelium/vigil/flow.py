"""One flow of datagrams; see `octelium.vigil.udp`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from octelium.policy.decision import Decision, Outcome
from octelium.vigil.dialling import associate
from octelium.vigil.endpoints import datagram_endpoints, pick
from octelium.vigil.errors import NotReady, Unserviceable
from octelium.vigil.passage import Passage

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from octelium.replica.arrival import Tunnel
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.udp import Udp

_LOG = logging.getLogger(__name__)

Place = tuple[str, int]
Key = tuple[Place, Place]
"""The Service's address and port, and the Session's."""

_LARGEST: Final = 65_535
_AT_ONCE: Final = 32
"""Datagrams passed on in one turn of the loop."""
_MOST_HELD: Final = 16
_MOST_HELD_BYTES: Final = 128 << 10
"""What waits until a flow is decided on and has its sockets; more is dropped, as networks do."""
_RESOLVE: Final = 5.0
"""Seconds for the upstream's address to be found."""
_buffer = bytearray(_LARGEST)


class Flow(Passage):
    """From its first datagram to its end. `last` is when something came."""

    arrival: Tunnel

    def __init__(self, mode: Udp, service: ServiceEntry, arrival: Tunnel, key: Key) -> None:
        (address, port), _ = key
        super().__init__(mode.vigil, service, arrival, f"{address}:{port}", next(mode.numbers))
        self.key = key
        self.last = mode.ticker.now
        self.received = 0
        self.sent = 0
        self._mode = mode
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._container: Place | None = None
        """Where the upstream is, if it is a container."""

    def stands(self) -> bool:
        """Whether both ends still are whose they were."""
        (local, port), (remote, _) = self.key
        replica, before = self._vigil.replica, self._service
        service, session = replica.service_at(local), replica.session_at(remote)
        return (
            service is not None
            and session is not None
            and session.uid == self.arrival.session_uid
            and (service.uid, service.port, service.mode) == (before.uid, port, before.mode)
        )

    def needs(self) -> tuple[str, Place] | None:
        """The Service and the place of the container that is its upstream, if one is."""
        return None if self._container is None else (self.service_uid, self._container)

    # The beginning.

    def begin(self) -> None:
        """Decide, at once if that is possible; then make sockets."""
        self._vigil.running.add(self)
        try:
            if self._service.is_disabled or not self._vigil.may_record():
                self.end()
                return
            decision = self._vigil.decider.decide(self._service, self._request, self.arrival)
            if isinstance(decision, Decision):
                if self._decided(decision):
                    self._task = self._vigil.spawn(self._open(), name="a UDP flow")
            else:
                self._task = self._vigil.spawn(self._decide_later(decision), name="a UDP flow")
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this flow alone
            self._broke(error)

    async def _decide_later(self, awaitable: Awaitable[Decision]) -> None:
        try:
            decision = await awaitable
            if not self._over and self._decided(decision):
                await self._open()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this flow alone
            self._broke(error)

    def _decided(self, decision: Decision) -> bool:
        if decision.outcome is not Outcome.ALLOWED:
            self._decision = decision
            if decision.outcome is Outcome.ERROR:
                _LOG.error("Service %s: %s", self._service.name, decision.error)
            if self._mode.refused(self):
                self._record(b"START", decision.error)
            self.end()
            return False
        self._begin(decision)
        return True

    async def _open(self) -> None:
        """Make both sockets and pass on what has waited."""
        assert self._decision is not None
        try:
            config, environment = self._decision.config, self._vigil.environment
            found = datagram_endpoints(self._service.message, config, environment.origins)
            endpoint = pick(found)
            if config is not None and config.upstream.HasField("container"):
                self._container = endpoint.host, endpoint.port
            if endpoint.user:
                self._upstream, host = await self._served().associate(
                    self.service_uid, endpoint.user
                )
                self._served_by(host)
            else:
                self._upstream = await associate(endpoint.host, endpoint.port, limit=_RESOLVE)
            self._client = await self._mode.sockets.flow(*self.key)
        except NotReady as problem:
            self.end(str(problem))
            return
        except Unserviceable as problem:
            _LOG.error("Service %s cannot be served: %s", self._service.name, problem)
            self.end(str(problem))
            return
        except OSError as error:  # TimeoutError is one
            self.end(f"the upstream cannot be reached: {error or 'no answer in time'}")
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this flow alone
            self._broke(error)
            return
        loop = asyncio.get_running_loop()
        self._client.setblocking(False)
        loop.add_reader(self._client.fileno(), self._from_client)
        loop.add_reader(self._upstream.fileno(), self._from_upstream)
        held, self._held = self._held, []
        for data in held:
            self._forward(data)

    # Datagrams.

    def take(self, data: bytes) -> None:
        """A datagram of the client's that came elsewhere."""
        if self._over:
            return
        self._touch()
        if self._client is not None:
            self._forward(data)
        elif len(self._held) < _MOST_HELD and self._held_bytes + len(data) <= _MOST_HELD_BYTES:
            self._held.append(data)
            self._held_bytes += len(data)

    def _touch(self) -> None:
        self.last = self._mode.ticker.now
        self._mode.active(self)

    def _forward(self, data: bytes | memoryview) -> None:
        if self._upstream is None:
            return
        try:
            self._upstream.send(data)
            self.received += len(data)
        except (BlockingIOError, InterruptedError):
            return  # dropped, as a full queue of the network would
        except OSError as error:
            self._upstream_failed(error)

    def _from_client(self) -> None:
        view = memoryview(_buffer)
        for _ in range(_AT_ONCE):
            if self._client is None:
                return
            try:
                count = self._client.recv_into(_buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # the client's host refused what was sent to it: no end of the flow
                continue
            self._forward(view[:count])
        self._touch()

    def _from_upstream(self) -> None:
        view = memoryview(_buffer)
        for _ in range(_AT_ONCE):
            if self._upstream is None or self._client is None:
                return
            try:
                count = self._upstream.recv_into(_buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._upstream_failed(error)
                continue
            try:
                self._client.send(view[:count])
                self.sent += count
            except OSError:  # full, too large for the way, or refused: it is lost
                continue
        self._touch()

    def _upstream_failed(self, error: OSError) -> None:
        """Its host says that nobody is there; a Session that serves has others beside it."""
        if self._host is not None:
            self._served().avoid(self._host, error)
            self.end(f"the upstream is not there: {error}")

    # The end.

    def _revoked(self, decision: Decision) -> None:
        if not self._over:
            self._decision = decision
            self._mode.refused(self)
            self.end("access ended while the flow was open")

    def _broke(self, error: Exception) -> None:
        _LOG.error("a flow of Service %s broke", self._service.name, exc_info=error)
        self.end(f"unexpected {type(error).__name__}, see the log")

    def end(self, problem: str = "") -> None:
        """Write the record and let go of everything. May be called twice."""
        if self._over:
            return
        self._over = True
        loop = asyncio.get_running_loop()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        for one in (self._client, self._upstream):
            if one is not None:
                loop.remove_reader(one.fileno())
                one.close()
        self._client = self._upstream = None
        self._held = []
        self._finish(problem)
        self._mode.left(self)

    def _fail(self, problem: str) -> None:
        self.end(problem)

    def _counts(self) -> tuple[int, int]:
        return self.received, self.sent
