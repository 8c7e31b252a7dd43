"""One run of `octelium connect`, from the first word to the last."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from octelium.client.errors import ClientError
from octelium.client.tunnel import control
from octelium.client.tunnel.asked import published_problem, served_problem
from octelium.client.tunnel.connection import Connection
from octelium.client.tunnel.destinations import Dialler, Services
from octelium.client.tunnel.device import Tunnel, engine_of
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.moves import Moves
from octelium.client.tunnel.names import NoNames
from octelium.client.tunnel.probe import probe
from octelium.client.tunnel.publishing import Published
from octelium.client.tunnel.pulse import Pulse
from octelium.client.tunnel.stream import ConnectStream
from octelium.client.tunnel.tasks import begin
from octelium.client.tunnel.watch import Watch, no_answer
from octelium.schema.names import private_fqdn
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from octelium.client.api import Authorized
    from octelium.client.tunnel.names import NameService
    from octelium.client.tunnel.side import Side
    from octelium.client.tunnel.wanted import Wanted
    from octelium.tunnel.engines.choose import Choice

_FAREWELL: Final = 3.0
"""Seconds for telling the Cluster that this is over."""
_AGAIN: Final = 5.0
"""Seconds until something in the tunnel is asked again when nothing has answered."""


class Running:
    """A connection and what belongs to it. `note` and `warn` take words for people.

    `place` is where other commands find it; None if nothing may be kept on disk. `make_names` makes
    what has names looked up through the tunnel; without it `unnamed` says how they are.
    """

    def __init__(
        self,
        api: Authorized,
        domain: str,
        wanted: Wanted,
        side: Side,
        choice: Choice,
        *,
        place: control.Place | None,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        make_names: Callable[[Tunnel], NameService] | None = None,
        unnamed: str = "",
    ) -> None:
        self._api = api
        self._domain = domain
        self._wanted = wanted
        self._side = side
        self._choice = choice
        self._place = place
        self._note = note
        self._warn = warn
        self._make_names = make_names
        self._unnamed = unnamed
        self._answered = ""
        self._trouble = ""
        self._refused: list[str] = []
        """Why Services that were published were of no use when the connection began."""
        self._tunnel: Tunnel | None = None
        self._connection: Connection | None = None
        self._pulse: Pulse | None = None
        self._is_beating = True

    async def run(self, stopped: asyncio.Event) -> None:
        """Be connected until `stopped`, or until the Cluster ends it.

        Raises:
            ClientError: it cannot be, or not go on; nothing is left behind.
        """
        with contextlib.ExitStack() as stack:
            if self._place is not None:
                stack.enter_context(self._place.hold())
            async with contextlib.AsyncExitStack() as later:
                try:
                    if self._place is not None:
                        served = control.serving(self._place, self.status, stopped.set)
                        await later.enter_async_context(served)
                except OSError as error:
                    self._warn(f"other commands cannot see this connection: {error}")
                await self._run(stopped, later)

    async def status(self) -> dict[str, Any]:
        """What other commands are told; what flows is tried, which takes some seconds at most."""
        connection, tunnel = self._connection, self._tunnel
        if self._pulse is not None and self._answered and connection is not None:
            self._is_beating = not connection.since or await self._pulse.is_beating()
        state = "joining"
        if connection is not None and connection.joined.is_set():
            state = "connected" if connection.since else "away"
        told: dict[str, Any] = {"domain": self._domain, "pid": os.getpid(), "state": state}
        told["healthy"], told["problem"] = not (problem := self._problem()), problem
        told["answered"], told["trouble"] = self._answered, self._trouble
        told["refused"] = self._refused
        told["published"] = [
            {"service": each.service, "address": each.address, "port": each.port}
            for each in self._wanted.publish
        ]
        if connection is None or tunnel is None or tunnel.connected is None:
            return told
        told["network"], told["engine"] = self._side.name, self._choice.name
        told["since"] = _moment(connection.since)
        told["addresses"] = list(tunnel.connected.addresses)
        told["gateways"] = [
            {
                "id": each.gateway,
                "endpoint": _place(each.endpoint),
                "lastHandshake": _moment(each.last_handshake),
                "received": each.received,
                "sent": each.sent,
            }
            for each in tunnel.health()
        ]
        present = connection.served.present
        problems = await asyncio.gather(*map(served_problem, present))
        told["served"] = [
            {
                "service": each.name,
                "port": each.port,
                "upstream": _place((each.host, each.upstream_port)),
                "problem": problem,
            }
            for each, problem in zip(present, problems, strict=True)
        ]
        names = connection.names if self._make_names is not None else ""
        told["dns"] = {
            "servers": list(tunnel.connected.dns),
            "changed": bool(names),
            "names": names or self._unnamed,
            "problem": connection.names_problem,
        }
        return told

    def _problem(self) -> str:
        """What is wrong at present; empty if nothing is."""
        connection, tunnel = self._connection, self._tunnel
        if connection is None or tunnel is None or not connection.joined.is_set():
            return "the Cluster has not answered yet"
        if not connection.since:
            return connection.problem or "not connected at present"
        if not self._answered:
            if self._wanted.keepalive and not tunnel.is_alive():
                return no_answer(tunnel)
            return self._trouble or "nothing has answered yet"
        return "" if self._is_beating else no_answer(tunnel)

    async def _run(self, stopped: asyncio.Event, later: contextlib.AsyncExitStack) -> None:
        wanted = self._wanted
        services = Services(self._api)
        folder = later.enter_context(tempfile.TemporaryDirectory(prefix="octelium-"))
        tunnel = self._tunnel = Tunnel(
            self._side,
            keepalive=wanted.keepalive,
            mtu=wanted.mtu,
            make_engine=engine_of(self._choice, Path(folder)),
        )
        pulse = self._pulse = Pulse(tunnel, self._domain)
        later.callback(pulse.close)
        dialler = Dialler(tunnel, services)
        published = Published(dialler.dial, self._warn)
        later.push_async_callback(published.close)
        self._note(f"Joining {self._domain}…")
        stopping = begin(stopped.wait(), name="end")
        later.callback(stopping.cancel)
        publishing = begin(self._publish(published, dialler, services), name="publishing")
        await asyncio.wait((publishing, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not publishing.done():
            publishing.cancel()
            return
        publishing.result()
        connection = self._connection = Connection(
            wanted,
            tunnel,
            NoNames(self._unnamed) if self._make_names is None else self._make_names(tunnel),
            open_stream=lambda first: ConnectStream(self._api, first),
            keep_fresh=self._api.keep_fresh,
            domain=self._domain,
            note=self._note,
            warn=self._warn,
        )
        later.push_async_callback(connection.close)
        moves = Moves(tunnel.find_again)
        later.callback(moves.close)
        moves.start()
        running = begin(connection.run(), name="connection")
        watching = begin(
            self._watch(connection, tunnel, dialler, services), name="watch of the tunnel"
        )
        try:
            waiting = (running, watching, stopping)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                try:
                    self._note(f"Disconnected: {running.result()}.")
                except TunnelError:  # the Cluster has connected us, and this host cannot be
                    await self._tell_the_end()
                    raise
            elif watching.done():
                await self._tell_the_end()
                watching.result()  # it ends by failing alone
            elif connection.since:
                await self._say_farewell()
        finally:
            for task in (running, watching):
                task.cancel()
            await asyncio.wait((running, watching))

    async def _publish(self, published: Published, dialler: Dialler, services: Services) -> None:
        for each in self._wanted.publish:
            found = await asyncio.to_thread(services.get, each.service)
            dialler.learn(found)
            published.open(each, is_udp=found.is_udp)
            kind = " (UDP)" if found.is_udp else ""
            self._note(f"{found.name} is published at {each}{kind}.")
            if each.is_open:
                self._warn(f"whoever can reach {each} uses {found.name} as you")

    async def _watch(
        self, connection: Connection, tunnel: Tunnel, dialler: Dialler, services: Services
    ) -> None:
        await connection.joined.wait()
        await self._check_served(connection, services)
        assert self._pulse is not None
        watch = Watch(
            tunnel,
            note=self._note,
            warn=self._warn,
            beat=self._pulse.beat,
            is_away=lambda: not connection.since,
        )
        watching = begin(watch.run(), name="watch of the gateway")
        try:
            await watch.answered.wait()
            while not await self._show(connection, tunnel, dialler, services):
                if (await asyncio.wait((watching,), timeout=_AGAIN))[0]:
                    break
            await watching
        finally:
            watching.cancel()

    async def _check_served(self, connection: Connection, services: Services) -> None:
        """Warn where nothing listens that is served.

        Raises:
            TunnelError: the Cluster does not have this User serve what was asked for by name.
        """
        present = connection.served.present
        missing = {*self._wanted.serve} - {each.name for each in present}
        if missing:
            try:
                known, mine = await asyncio.to_thread(services.names)
            except ClientError:  # a Session need not be allowed to ask
                known, mine = missing, []
            raise _not_served(missing, known, mine)
        for each in present:
            if problem := await served_problem(each):
                where = _place((each.host, each.upstream_port))
                self._warn(f"{each.name} is served from {where}, but {problem}")

    async def _ask_published(self, dialler: Dialler, services: Services) -> None:
        """See whether what was published answers this User, and say where it does not."""
        refused = []
        for name in dict.fromkeys(each.service for each in self._wanted.publish):
            try:
                found = await asyncio.to_thread(services.get, name)
            except ClientError as error:
                refused.append(f"{name}: {error}")
                continue
            host = private_fqdn(name, self._domain)
            if problem := await published_problem(dialler, found, host):
                refused.append(f"{name} is published, but {problem}")
        for line in refused:
            self._warn(line)
        self._refused = refused

    async def _show(
        self, connection: Connection, tunnel: Tunnel, dialler: Dialler, services: Services
    ) -> bool:
        """Say that it works, once something has answered; whether it has."""
        try:
            some = await asyncio.to_thread(services.some)
            count = await asyncio.to_thread(services.count)
        except ClientError as error:  # a Session need not be allowed to ask
            self._warn(f"the Services cannot be listed: {error}")
            some, count = [], None
        try:
            answered = await probe(tunnel, dialler, some, self._domain)
        except TunnelError as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                self._warn(f"{error}; {error.remedy}")
            return False
        await connection.named.wait()
        await self._ask_published(dialler, services)
        self._answered, self._trouble = answered, ""
        many = "" if count is None else f": {count} Service{'' if count == 1 else 's'}"
        has_names = self._make_names is not None and connection.names
        at = f" at *.local.{self._domain}" if has_names else ""
        connected = tunnel.connected
        own = "" if connected is None else ", ".join(connected.addresses)
        self._note(f"Connected to {self._domain}{many}{at}. Own address: {own}.")
        return True

    async def _say_farewell(self) -> None:
        await self._tell_the_end()
        self._note("Disconnected.")

    async def _tell_the_end(self) -> None:
        """Have the Cluster take the connection down at once rather than wait for our return."""
        try:
            await asyncio.to_thread(disconnect, self._api)
        except ClientError as error:
            self._warn(f"the Cluster was not told of the end: {error}")


def disconnect(api: Authorized) -> None:
    """Take down the connection of this Session, wherever it is. Raises ClientError."""
    api.call("Disconnect", user.DisconnectRequest(), deadline=_FAREWELL)


def _not_served(missing: Collection[str], known: Collection[str], mine: list[str]) -> TunnelError:
    absent = sorted({*missing} - {*known})
    others = sorted({*missing} - {*absent})
    words = [f"there is no Service {name}" for name in absent]
    words += [f"{name} is not this User's to serve" for name in others]
    remedy = "a Service is served by the User that its upstream names"
    if mine:
        remedy = f"this User's to serve: {', '.join(sorted(mine))}"
    return TunnelError(f"--serve: {'; '.join(words)}", remedy)


def _moment(seconds: float) -> str | None:
    if not seconds:
        return None
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place(place: tuple[str, int] | None) -> str | None:
    if place is None:
        return None
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
