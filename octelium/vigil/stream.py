"""One TCP connection to a Service of mode TCP: decided once, and again whenever that may change."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from octelium.http.tls import TLSLayer
from octelium.policy.decision import Decision, Outcome
from octelium.vigil.coupling import Coupling
from octelium.vigil.dialling import dial, prepare
from octelium.vigil.endpoints import Endpoint, pick, stream_endpoints
from octelium.vigil.errors import NotReady, Unserviceable
from octelium.vigil.passage import Passage
from octelium.vigil.splicing import Splice, reset

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from octelium.http.exchange import Peer
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.coupling import End
    from octelium.vigil.tcp import Tcp

_LOG = logging.getLogger(__name__)

CONNECT: Final = 20.0
"""Seconds for the upstream to take a connection."""
_HANDSHAKE: Final = 10.0


class Stream(Passage):
    """A client's connection, from its acceptance to its end.

    Exactly one of these ends it: a refusal, a failed upstream, both halves' ends, a side that is
    lost, a decision that changed. `left` is called then, once.
    """

    def __init__(
        self, mode: Tcp, service: ServiceEntry, peer: Peer, place: str, left: Callable[[], None]
    ) -> None:
        super().__init__(mode.vigil, service, peer.arrival, place, peer.number)
        self._mode = mode
        self._peer = peer
        self._left = left
        self._relay: Splice | Coupling | None = None

    def plain(self, client: socket.socket) -> None:
        """Serve a client that sends in the clear."""
        self._client = client
        try:
            prepare(client)
        except OSError as error:  # gone already
            self._fail(f"the client is gone: {error}")
            return
        self._run_soon()

    def secured(self) -> End:
        """Serve a client whose TLS ends here; the result is the codec on top of it."""
        coupling = self._relay = Coupling(self._ended, self._mode.pipes.stalls)
        self._run_soon()
        return coupling.client

    def abort(self) -> None:
        """End this stream because its client, or the Service's place, is no more what it was."""
        self._fail("the connection to the private network ended")

    # From the acceptance to the relay.

    def _run_soon(self) -> None:
        self._vigil.running.add(self)
        self._task = self._vigil.spawn(self._run(), name="a TCP stream")

    async def _run(self) -> None:
        try:
            await self._serve()
        except NotReady as problem:
            self._fail(str(problem))
        except Unserviceable as problem:
            _LOG.error("Service %s cannot be served: %s", self._service.name, problem)
            self._fail(str(problem))
        except OSError as error:  # TimeoutError is one
            self._fail(f"the upstream cannot be reached: {error or 'no answer in time'}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this stream alone
            _LOG.exception("a stream of Service %s broke", self._service.name)
            self._fail(f"unexpected {type(error).__name__}, see the log")

    async def _serve(self) -> None:
        service, arrival = self._service, self._peer.arrival
        if service.is_disabled or not self._vigil.may_record():
            self._close()
            return
        decision = self._vigil.decider.decide(service, self._request, arrival)
        if not isinstance(decision, Decision):
            decision = await decision
        if self._over:
            return
        if decision.outcome is not Outcome.ALLOWED:
            self._refuse(decision)
            return
        admitted, self._peer.admitted = self._peer.admitted, None
        if admitted is not None and decision.session is not None:
            admitted()
        self._begin(decision)
        origins = self._mode.origins
        endpoint = pick(stream_endpoints(service.message, decision.config, origins))
        self._upstream = await self._connect(endpoint)
        if not self._over:
            await self._join(endpoint)

    async def _connect(self, endpoint: Endpoint) -> socket.socket:
        """A connection to the upstream. Raises OSError, Unserviceable."""
        if not endpoint.user:
            return await dial(endpoint.host, endpoint.port, limit=CONNECT)
        async with asyncio.timeout(CONNECT):
            made, host = await self._served().connect(self._service.uid, endpoint.user)
        self._served_by(host)
        return made

    async def _join(self, endpoint: Endpoint) -> None:
        """Join both connections, by the cheaper way if both are in the clear."""
        assert self._upstream is not None
        client, upstream = self._client, self._upstream
        if client is not None and endpoint.tls is None:
            self._client = self._upstream = None
            splice = self._relay = Splice(
                client, upstream, self._mode.pipes, self._ended, self._owner()
            )
            splice.start()
            return
        loop = asyncio.get_running_loop()
        coupling = self._relay
        if not isinstance(coupling, Coupling):
            coupling = self._relay = Coupling(self._ended, self._mode.pipes.stalls)
        coupling.owner = self._owner()
        self._upstream = None
        if endpoint.tls is None:
            end = coupling.upstream
            await loop.create_connection(lambda: end, sock=upstream)
        else:
            await self._secure(coupling, upstream, endpoint)
        if client is not None and not self._over:
            self._client = None
            mine = coupling.client
            await loop.connect_accepted_socket(lambda: mine, client)
        if not self._over:
            coupling.start()

    def _owner(self) -> str:
        """Whose share of what streams may take this one takes."""
        session = None if self._decision is None else self._decision.session
        return "" if session is None else session.user_uid

    async def _secure(
        self, coupling: Coupling, upstream: socket.socket, endpoint: Endpoint
    ) -> None:
        """Shake hands with the upstream. Raises OSError."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        context = endpoint.tls
        assert context is not None

        def established(_layer: TLSLayer) -> End:
            if not ready.done():
                ready.set_result(None)
            return coupling.upstream

        def failed(error: Exception) -> None:
            if not ready.done():
                ready.set_exception(ConnectionError(f"TLS failed: {error}"))

        transport, _ = await loop.create_connection(
            lambda: TLSLayer(
                context, established, failed, server_side=False, server_hostname=endpoint.host
            ),
            sock=upstream,
        )
        try:
            async with asyncio.timeout(_HANDSHAKE):
                await ready
        except BaseException:
            transport.abort()
            raise

    # Ends.

    def _refuse(self, decision: Decision) -> None:
        self._decision = decision
        if decision.outcome is Outcome.ERROR:
            _LOG.error("Service %s: %s", self._service.name, decision.error)
        self._record(b"START", decision.error)
        self._close()

    def _revoked(self, decision: Decision) -> None:
        if not self._over:
            self._decision = decision
            self._fail("access ended while the stream was open")

    def _fail(self, problem: str) -> None:
        """Break both connections off."""
        if self._over:
            return
        for one in (self._client, self._upstream):
            if one is not None:
                reset(one)
        self._close(problem)

    def _ended(self, error: Exception | None) -> None:
        self._close("" if error is None else f"a side was lost: {error}")

    def _close(self, problem: str = "") -> None:
        """Write the record and let go of everything."""
        if self._over:
            return
        self._over = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        relay = self._relay
        if relay is not None:
            relay.abort()  # harmless where both halves have ended
        for one in (self._client, self._upstream):
            if one is not None:
                one.close()
        self._client = self._upstream = None
        self._finish(problem)
        self._left()

    def _counts(self) -> tuple[int, int]:
        relay = self._relay
        return (0, 0) if relay is None else (relay.received, relay.sent)
