"""Whether the upstreams that Services declare answer, asked over the connections of requests.

Who orders it names a Service and nothing else: where it leads, and by which TLS, is what the
Service's own configuration says, so that nothing else can be reached this way. No credentials are
sent. `HEAD` is safe (RFC 9110, section 9.2.1); gRPC is asked for its health, which every server
answers, be it by UNIMPLEMENTED (GRPC Health Checking Protocol).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.message import FieldBlock, UpstreamRequest
from octelium.schema.modes import SERVED_MODES, mode_name, not_served
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.configuration import compile_configuration
from octelium.vigil.dialling import dial
from octelium.vigil.endpoints import datagram_endpoints, stream_endpoints
from octelium.vigil.errors import Absence, NotReady, Unserviceable
from octelium.vigil.modes import MODES
from octelium.vigil.served_pool import ServedPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from octelium.http.message import Fields, ResponseHead
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.configuration import Configuration
    from octelium.vigil.configuration import Endpoint as HttpEndpoint
    from octelium.vigil.endpoints import Endpoint
    from octelium.vigil.environment import Environment

Outcome = Literal["ok", "warn", "fail", "skipped"]
PATIENCE: Final = 5.0
"""Seconds for one upstream."""
_AT_ONCE: Final = 8
_CLOSED_WITHIN: Final = 0.3
"""Seconds within which a client closes what its own host refuses."""
_MODES: Final = core.ServiceSpecMode__
_HEALTH: Final = b"/grpc.health.v1.Health/Check"
_EMPTY_MESSAGE: Final = bytes(5)
"""Of gRPC: not compressed, no bytes."""
_AGENT: Final = (b"user-agent", b"octelium-doctor")


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of one upstream; `remedy` is empty unless there is something to do."""

    service: str
    upstream: str
    outcome: Outcome
    detail: str
    remedy: str = ""


class UpstreamProber:
    """Asks upstreams with the configuration and the connections of `environment`."""

    def __init__(self, environment: Environment, *, patience: float = PATIENCE) -> None:
        self._environment = environment
        self._patience = patience
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, service: ServiceEntry) -> list[Probed]:
        """What the upstreams of a Service answer; one entry at least. Never raises."""
        try:
            found = await self._ask(service)
        except NotReady as problem:
            return [_absent(service.name, problem)]
        except Unserviceable as problem:
            name = service.name
            remedy = f"correct the Service: octeliumctl edit service {name}"
            return [Probed(name, "", "fail", str(problem), remedy)]
        hindered = self._environment.containers.hindered(service.uid)
        if hindered and not service.is_disabled:
            told = f"what runs goes on, but not all of the container is as it shall be: {hindered}"
            remedy = _WHY.format(name=service.name)
            found.append(Probed(service.name, "container", "warn", told, remedy))
        return found

    async def _ask(self, service: ServiceEntry) -> list[Probed]:
        name, mode, config = service.name, service.mode, service.message.spec.config
        is_container = config.upstream.HasField("container")
        if service.managed_type:
            return [Probed(name, "", "skipped", "the Cluster itself answers")]
        if service.is_disabled:
            return [Probed(name, "", "skipped", "the Service is disabled")]
        if mode == _MODES.TCP:
            found = stream_endpoints(service.message, config, self._environment.origins)
            return [await self._stream(service, each, is_container) for each in found]
        if mode == _MODES.UDP:
            endpoints = datagram_endpoints(service.message, config, self._environment.origins)
            return [self._datagrams(service, each) for each in endpoints]
        if mode not in SERVED_MODES:
            return [Probed(name, "", "warn", not_served(mode), _NOT_SERVED)]
        if mode not in MODES:
            told = f"upstreams of mode {mode_name(mode)} are not asked"
            return [Probed(name, "", "skipped", told)]
        compiled = compile_configuration(service.message, config, self._environment)
        if compiled.problem is not None:
            raise compiled.problem
        if compiled.direct is not None:
            return [Probed(name, "", "skipped", "the Cluster answers, as configured")]
        is_grpc = mode == _MODES.GRPC
        remedies = _OF_CONTAINERS if is_container else _REMEDIES
        return [
            await self._http(name, compiled, each, remedies, is_grpc=is_grpc)
            for each in compiled.endpoints
        ]

    async def _http(
        self,
        name: str,
        compiled: Configuration,
        endpoint: HttpEndpoint,
        remedies: Mapping[Failure, str],
        *,
        is_grpc: bool,
    ) -> Probed:
        authority = compiled.host or endpoint.authority
        shown = endpoint.authority.decode("ascii", "replace")
        pool = endpoint.connections
        if isinstance(pool, ServedPool):
            shown = f"{shown} at User {pool.user}"
            serves = pool.served.hosts(pool.service_uid, pool.user, "tcp")
            remedies = {
                **dict.fromkeys(_REMEDIES, _LOOK if serves else _SERVE),
                **dict.fromkeys((Failure.RESET, Failure.CLOSED), _START_THERE),
            }
        began = time.monotonic()
        try:
            async with self._places, asyncio.timeout(self._patience):
                status = await _answer(endpoint, authority, is_grpc=is_grpc)
        except TimeoutError:
            return Probed(name, shown, "fail", self._silent(), _SILENT)
        except UpstreamError as error:
            if is_grpc and error.failure in (Failure.RESET, Failure.PROTOCOL):
                return Probed(name, shown, "warn", f"it is no gRPC server: {error}", _NOT_GRPC)
            return Probed(name, shown, "fail", str(error), remedies.get(error.failure, _LOGS))
        asked = "its health" if is_grpc else "HEAD /"
        told = f"{asked} is answered with {status} in {_milliseconds(began)}"
        if status >= 500:
            return Probed(name, shown, "warn", told, _LOGS)
        return Probed(name, shown, "ok", told)

    async def _stream(
        self, service: ServiceEntry, endpoint: Endpoint, is_container: bool
    ) -> Probed:
        name, shown = service.name, str(endpoint)
        began = time.monotonic()
        try:
            async with self._places, asyncio.timeout(self._patience):
                await self._connect(service, endpoint)
        except TimeoutError:
            return Probed(name, shown, "fail", self._silent(), _SILENT)
        except _ClosedError as error:
            return Probed(name, shown, "fail", str(error), _START_THERE)
        except OSError as error:  # of which those of TLS are a kind
            start = _LISTEN if is_container else _START
            remedy = start if endpoint.tls is None else f"{start}; or {_TRUST}"
            if endpoint.user:
                served = self._environment.require_served()
                serves = served.hosts(service.uid, endpoint.user, "tcp")
                remedy = _LOOK if serves else _SERVE
            return Probed(name, shown, "fail", str(error), remedy)
        told = "TLS is spoken" if endpoint.tls is not None else "it takes connections"
        return Probed(name, shown, "ok", f"{told}, after {_milliseconds(began)}")

    async def _connect(self, service: ServiceEntry, endpoint: Endpoint) -> None:
        """Connect and let go. Raises OSError, Unserviceable."""
        if endpoint.user:
            served = self._environment.require_served()
            made, host = await served.connect(service.uid, endpoint.user)
            served.release(host)
        else:
            made = await dial(endpoint.host, endpoint.port, limit=self._patience)
        if endpoint.tls is None:
            try:
                if endpoint.user:
                    await _stays(made)
            finally:
                made.close()
            return
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=made, ssl=endpoint.tls, server_hostname=endpoint.host
            )
        except BaseException:
            made.close()
            raise
        transport.abort()

    def _datagrams(self, service: ServiceEntry, endpoint: Endpoint) -> Probed:
        name, shown = service.name, str(endpoint)
        if endpoint.user:
            served = self._environment.require_served()
            count = len(served.hosts(service.uid, endpoint.user, "udp"))
            if not count:
                told = f"no connected Session of User {endpoint.user} serves it"
                return Probed(name, shown, "fail", told, _SERVE)
            sessions = "Session" if count == 1 else "Sessions"
            told = f"{count} connected {sessions} for it; whether it answers only its clients know"
            return Probed(name, shown, "skipped", told)
        return Probed(name, shown, "skipped", "UDP: only a client of it knows how to be answered")

    def _silent(self) -> str:
        return f"no answer within {self._patience:g} s"


_AGAIN: Final = "look again in a moment; octeliumctl describe service {name} shows how far it is"
_WHY: Final = "octeliumctl describe service {name} tells why"
_NO_CONTROLLER: Final = (
    "run the Cluster on Kubernetes with its controller, or give the Service a url in place of the "
    "container"
)
_LOST_CONTROLLER: Final = "read the log of `octelium controller`, and see whether it runs"
_ABSENT: Final[Mapping[Absence, tuple[Outcome, str]]] = {
    Absence.STARTING: ("warn", _AGAIN),
    Absence.FAILING: ("fail", _WHY),
    Absence.ABANDONED: ("fail", _LOST_CONTROLLER),
    Absence.UNMANAGED: ("fail", _NO_CONTROLLER),
}


def _absent(name: str, problem: NotReady) -> Probed:
    outcome, remedy = _ABSENT[problem.absence]
    return Probed(name, "container", outcome, str(problem), remedy.format(name=name))


_START: Final = "start it, or correct the URL of the Service's upstream"
_LISTEN: Final = (
    "let it listen at the port of its upstream.container, on all addresses, and give it a "
    "readinessProbe"
)
_TRUST: Final = "trust its certificate by spec.config.tls.trustedCAs"
_SILENT: Final = (
    "see whether it runs and has work to do, and whether a firewall between the Cluster's machine "
    "and it drops packets"
)
_SERVE: Final = "run `octelium connect --serve-all` where it is, as that User"
_LOOK: Final = "run `octelium doctor` where it is"
_START_THERE: Final = "start it where it is, or correct the URL of the Service's upstream"
_NOT_SERVED: Final = "nobody can use it: take a mode that is served, such as TCP"
_LOGS: Final = "read its own log"
_NOT_GRPC: Final = "correct the Service's mode, or the URL of its upstream"
_REMEDIES: Final = {
    Failure.UNREACHABLE: _START,
    Failure.CONNECT_TIMEOUT: _SILENT,
    Failure.TLS: f"{_TRUST}, or correct the scheme of its URL",
}
_OF_CONTAINERS: Final = {
    **_REMEDIES,
    Failure.UNREACHABLE: _LISTEN,
    Failure.TLS: f"{_TRUST}, or leave spec.config.tls out if it speaks no TLS",
}


class _Waiter:
    """Takes the head of one response."""

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def response_informational(self, head: ResponseHead) -> None:
        """Something before the answer."""

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:  # noqa: ARG002
        """The answer."""
        if not self.status.done():
            self.status.set_result(head.status)

    def response_data(self, data: bytes) -> None:
        """Nobody reads it."""

    def response_ended(self, trailers: Fields) -> None:
        """Nothing waits for it."""

    def response_failed(self, error: UpstreamError) -> None:
        """There is no answer."""
        if not self.status.done():
            self.status.set_exception(error)

    def upstream_paused(self) -> None:
        """Nothing more is to be sent."""

    def upstream_resumed(self) -> None:
        """Nothing more is to be sent."""


async def _answer(endpoint: HttpEndpoint, authority: bytes, *, is_grpc: bool) -> int:
    """The status of an answer. Raises UpstreamError."""
    if is_grpc:
        fields = FieldBlock([(b"content-type", b"application/grpc"), (b"te", b"trailers"), _AGENT])
        request = UpstreamRequest(b"POST", _HEALTH, authority, fields, has_body=True)
        data = _EMPTY_MESSAGE
    else:
        request = UpstreamRequest(b"HEAD", b"/", authority, FieldBlock([_AGENT]))
        data = b""
    waiter = _Waiter()
    stream = endpoint.connections.open(request, waiter, data, True, fresh=True)
    try:
        return await waiter.status
    finally:
        stream.reset()


class _ClosedError(OSError):
    """A client took the connection and had nowhere to go with it."""


async def _stays(made: socket.socket) -> None:
    """See whether a client that serves keeps a connection: it takes it before it dials further.

    Raises:
        _ClosedError: it is closed at once.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CLOSED_WITHIN):
            if await loop.sock_recv(made, 1):
                return
    except TimeoutError:
        return
    except ConnectionError:
        pass  # a reset tells what an end would
    raise _ClosedError("the host that serves it takes the connection and closes it at once")


def _milliseconds(began: float) -> str:
    return f"{(time.monotonic() - began) * 1000:.0f} ms"
