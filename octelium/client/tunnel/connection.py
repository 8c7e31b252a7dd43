"""The connection to a Cluster: its stream, through outages, and what the Cluster says on it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Final

from octelium.client.errors import ApiError, ClientError
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.serving import Served, hosted
from octelium.client.tunnel.state import Connected, connected, gateway_of, servers_of
from octelium.client.tunnel.tasks import begin
from octelium.http.tasks import spawn
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.client.tunnel.device import Tunnel
    from octelium.client.tunnel.names import NameService
    from octelium.client.tunnel.serving import Hosted
    from octelium.client.tunnel.stream import Stream
    from octelium.client.tunnel.wanted import Wanted

STATE: Final = 20.0
"""Seconds for the Cluster's first answer."""
KEEPALIVE: Final = 300.0
"""Seconds between signs of life on the stream, and looks at the token."""
PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_FINAL: Final = frozenset(
    {
        "INVALID_ARGUMENT",
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "UNIMPLEMENTED",
        "UNAUTHENTICATED",
    }
)
"""Refusals that no waiting changes."""


class Connection:
    """Keeps a Session connected.

    Args:
        wanted: what for.
        open_stream: begins a `Connect` stream with its first message.
        keep_fresh: renews the token if it is time; called off the event loop.
        domain: of the Cluster.
    """

    def __init__(
        self,
        wanted: Wanted,
        tunnel: Tunnel,
        names: NameService,
        *,
        open_stream: Callable[[user.ConnectRequest], Stream],
        keep_fresh: Callable[[], None],
        domain: str,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wanted = wanted
        self._tunnel = tunnel
        self._names = names
        self._open_stream = open_stream
        self._keep_fresh = keep_fresh
        self._domain = domain
        self._note = note
        self._warn = warn
        self._sleep = sleep
        self._clock = clock
        self._modes = list(wanted.modes)
        self._refusal: ApiError | None = None
        self._first_at = 0
        self.served = Served(tunnel.side)
        self.joined = asyncio.Event()
        """Whether there is a tunnel, be the stream away or not."""
        self.named = asyncio.Event()
        """Whether names are looked up through the tunnel, or cannot be."""
        self.names = ""
        """What is done for that, for people; empty for nothing."""
        self.names_problem = ""
        self.problem = ""
        """Why there is no stream at present; empty if there is one."""
        self.since = 0.0
        """When the present stream began, in seconds since 1970; 0 without one."""

    async def run(self) -> str:
        """Stay connected until the Cluster says that this is over; its words.

        Raises:
            ClientError: it cannot be; waiting does not help.
        """
        failures = 0
        is_away = False
        while True:
            try:
                ending = await self._once(is_away=is_away)
                if ending is not None:
                    return ending
                why = "the Cluster ended the stream"
            except ApiError as error:
                if self._takes_another_mode(error):
                    continue
                if _is_final(error):
                    raise
                why = str(error)
            except TunnelError as error:
                if not self.joined.is_set():
                    raise  # this host cannot, and trying again would not change that
                why = str(error)
            if self.since:
                failures, is_away, self.since = 0, False, 0.0
            self.problem = why
            if not is_away:
                self._warn(f"not connected at present: {why}; trying until it works")
                is_away = True
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            await self._sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311  (no secret)
            failures += 1

    async def close(self) -> None:
        """Have everything as it was before. Does not end the stream: cancel `run` for that."""
        await self.served.close()
        await self._names.stop()
        await self._tunnel.close()

    def _takes_another_mode(self, error: ApiError) -> bool:
        """Whether other address families may be had where these were refused."""
        if error.code != "INVALID_ARGUMENT" or self.joined.is_set():
            return False
        self._refusal = self._refusal or error
        del self._modes[0]
        if not self._modes:
            raise self._refusal
        return True

    async def _once(self, *, is_away: bool) -> str | None:
        """One stream; the Cluster's last words if it ends the connection, None if it is lost."""
        stream = self._open_stream(self._wanted.initialize(self._modes[0]))
        fresh = spawn(self._stay_fresh(stream), name="tokens")
        try:
            await self._begin(stream)
            self.since, self.problem = self._clock(), ""
            if is_away:
                self._note("Connected again.")
            return await self._follow(stream)
        finally:
            fresh.cancel()
            stream.close()

    async def _begin(self, stream: Stream) -> None:
        """Wait for the first state; what comes before is passed over."""
        try:
            async with asyncio.timeout(STATE):
                while (event := await stream.next()) is not None:
                    if event.WhichOneof("Event") == "state":
                        break
        except TimeoutError:
            problem = f"the Cluster said nothing within {STATE:g} s"
            raise ApiError("DEADLINE_EXCEEDED", problem, "Connect") from None
        if event is None:
            raise ApiError("UNAVAILABLE", "the Cluster ended the stream at once", "Connect")
        self._first_at = event.created_at.ToNanoseconds()
        await self._become(event.state)

    async def _follow(self, stream: Stream) -> str | None:
        event = begin(stream.next(), name="Connect")
        failed = begin(self._tunnel.failed(), name="failure of the tunnel")
        try:
            while True:
                await asyncio.wait((event, failed), return_when=asyncio.FIRST_COMPLETED)
                if failed.done():
                    await self._tunnel.close()
                    raise TunnelError(f"the tunnel broke: {failed.result()}")
                message = event.result()
                if message is None:
                    return None
                if message.WhichOneof("Event") == "disconnect":
                    return message.disconnect.message or "disconnected by the Cluster"
                if not self._is_old(message):
                    await self._take(message)
                if message.WhichOneof("Event") == "state":  # perhaps there is another engine now
                    failed.cancel()
                    failed = begin(self._tunnel.failed(), name="failure of the tunnel")
                event = begin(stream.next(), name="Connect")
        finally:
            event.cancel()
            failed.cancel()

    def _is_old(self, message: user.ConnectResponse) -> bool:
        """Whether it was said before the state that we have."""
        has_time = message.HasField("created_at")
        return has_time and message.created_at.ToNanoseconds() < self._first_at

    async def _take(self, message: user.ConnectResponse) -> None:
        """Do what an event asks for; one that makes no sense changes nothing.

        Raises:
            TunnelError: there is no tunnel any more.
        """
        kind = message.WhichOneof("Event")
        try:
            if kind == "state":
                await self._become(message.state)
            elif kind in ("add_gateway", "update_gateway"):
                gateway = gateway_of(
                    getattr(message, kind).gateway, self._now.families, self._wanted.allowed
                )
                if gateway is not None:
                    self._tunnel.put_gateway(gateway)
            elif kind == "delete_gateway":
                self._tunnel.remove_gateway(message.delete_gateway.id)
            elif kind == "update_dns":
                await self._resolve(self._servers(message.update_dns.dns))
            elif kind == "message":
                self._note(f"The Cluster says: {message.message.message}")
            elif self._wanted.serves:
                await self._serve(message)
        except TunnelError as error:
            if not self._tunnel.is_open:  # with another MTU a tunnel begins anew
                raise
            self._warn(f"{error}; that is passed over")

    async def _serve(self, message: user.ConnectResponse) -> None:
        kind = message.WhichOneof("Event")
        if kind == "delete_service":
            await self.served.remove(message.delete_service.name)
        elif kind in ("add_service", "update_service"):
            service = self._hosted(getattr(message, kind).service, self._now)
            if kind == "update_service":
                await self.served.remove(getattr(message, kind).service.name)
            if service is not None:
                await self.served.add(service)

    def _hosted(self, message: user.HostedService, state: Connected) -> Hosted | None:
        """What is served of it; None, and a warning, if it is not what was asked for."""
        service = hosted(message, state.families)
        if service is None:
            return None
        wrong = "" if self._wanted.is_served(service.name) else "which nobody here asked for"
        own = {str(ip_interface(text).ip) for text in state.addresses}
        for address in service.addresses:
            if address not in own:
                wrong = wrong or f"at {address}, which is no address of this connection"
        if wrong:
            self._warn(f"the Cluster has this host serve {service.name!r}, {wrong}: passed over")
            return None
        return service

    async def _become(self, message: user.ConnectionState) -> None:
        """Be connected as the Cluster says.

        Raises:
            TunnelError: that cannot be.
        """
        state = connected(message, self._wanted.allowed)
        if self._wanted.mtu is not None:
            state = replace(state, mtu=self._wanted.mtu)
        if self._tunnel.connected is not None and not self._keeps(state):
            # What listens at the former addresses goes with them.
            await self.served.close()
        await self._tunnel.put(state)
        if self._wanted.serves:
            self.served.admit(state.routes)
            offered = (self._hosted(each, state) for each in message.service_options.services)
            await self.served.replace([each for each in offered if each is not None])
        self.joined.set()
        await self._resolve(state.dns)
        self.named.set()

    def _keeps(self, state: Connected) -> bool:
        now = self._now
        return (now.addresses, now.mtu) == (state.addresses, state.mtu)

    async def _resolve(self, servers: tuple[str, ...]) -> None:
        if not servers:
            return
        side = self._tunnel.side
        # Programs are not to be shown what they cannot reach.
        device = side.device if side.is_of_host and not self._wanted.no_dns else ""
        try:
            told = await self._names.start(device, servers, (f"local.{self._domain}",))
        except OSError as error:
            self.names = ""
            if self.names_problem != str(error):
                self.names_problem = str(error)
                self._warn(f"names cannot be looked up by the Cluster: {error}")
            return
        if told != self.names:
            self.names = told
            self._note(told)

    def _servers(self, said: user.Dns) -> tuple[str, ...]:
        return servers_of(said, self._now.families, self._now.routes)

    @property
    def _now(self) -> Connected:
        assert self._tunnel.connected is not None
        return self._tunnel.connected

    async def _stay_fresh(self, stream: Stream) -> None:
        while True:
            await self._sleep(KEEPALIVE)
            request = user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive())
            request.keep_alive.set_at.FromNanoseconds(int(self._clock() * 1e9))
            stream.say(request)
            try:
                await asyncio.to_thread(self._keep_fresh)
            except ClientError as error:
                self._warn(f"the token cannot be renewed: {error}")


def _is_final(error: ApiError) -> bool:
    if error.code in _FINAL:
        return True
    # The connection itself is refused, such as for a certificate that nobody trusts.
    refused = error.code == "UNAVAILABLE" and bool(error.remedy)
    return refused and not error.message.startswith("cannot reach")
