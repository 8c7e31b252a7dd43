"""The gateway: has an engine in the private network, and keeps its peers as the Cluster says.

It goes on with what it knows while the control process is away. It holds no capability: TUN device
and sockets are given to it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from octelium.gateway.admission import Admission, Committed
from octelium.gateway.echo import Echo
from octelium.gateway.health import Dialler, Prober
from octelium.gateway.keeper import PeerKeeper
from octelium.gateway.report import Report, series_of
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from octelium.gateway.memory import Memory
    from octelium.gateway.peers import Ranges
    from octelium.gateway.view import View
    from octelium.replica.gateway_key import GatewayKeys
    from octelium.tunnel.engines.interface import Engine
    from octelium.tunnel.link.plan import LinkPlan, LinkStatus

_LOG = logging.getLogger(__name__)
_TURN = 0.02
_REPORT = 2.0
_PROBE = 5.0
_PROBE_AGAIN = 0.5


class Link(Dialler, Protocol):
    """The link process, as `LinkSockets`."""

    async def configured(self, plan: LinkPlan, /) -> None:
        """Wait until the private network is so, which control sees to. Raises OSError."""

    async def status(self) -> LinkStatus:
        """What it tells of itself. Raises OSError."""


class GatewayError(Exception):
    """The gateway cannot go on, and is to be started again; the text says why."""


@dataclass(slots=True)
class Gateway:
    """One gateway. `view` is kept up to date by somebody; `tell` takes each report for control.

    `make_engine` gets the keys and the network, once the Cluster has them.
    """

    view: View
    link: Link
    memory: Memory
    committed: Committed
    make_engine: Callable[[GatewayKeys, Ranges], Awaitable[Engine]]
    tell: Callable[[bytes], Any]
    place: tuple[str, int]
    """Where the engine takes datagrams, from this machine."""
    offload: bool = True
    """Whether the engine wants a device with IFF_VNET_HDR."""
    clock: Callable[[], float] = time.time
    _ranges: Ranges | None = None
    _keys: GatewayKeys | None = None
    _engine: Engine | None = None
    _echo: Echo | None = None
    _trouble: str = "the gateway has not begun"
    _counters: Mapping[str, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, up: Callable[[], None]) -> None:
        """Be the gateway until cancelled; `up` is called once clients are served.

        Raises:
            GatewayError, EngineError, OSError: it cannot be, or not go on.
        """
        self.view.listeners.append(self._noticed)
        ranges, keys = await self._begun()
        async with AsyncExitStack() as stack:
            await self.link.configured(ranges.link_plan(offload=self.offload))
            if (wall := (await self.link.status()).firewall) != "active":
                _LOG.error("the private network has no firewall: %s", wall)
            engine = await self.make_engine(keys, ranges)
            stack.push_async_callback(engine.close)
            stack.callback(self._forget)
            self._engine, self._ranges, self._keys = engine, ranges, keys
            self._noticed(())  # of what changed meanwhile
            keeper = PeerKeeper(engine, self.memory)
            admission = Admission(self.view, keeper, self.committed)
            stack.callback(admission.close)
            await engine.start()
            admission.start()
            keeper.settle(self.view.peers)
            prober = Prober(self.link, self._begin_echo(engine, stack), ranges.probe())
            stack.callback(keeper.close)
            keeper.start()
            await self._serve(engine, keeper, prober, up)

    def _begin_echo(self, engine: Engine, stack: AsyncExitStack) -> Echo:
        """Have a client of our own. Raises OSError."""
        assert self._ranges is not None
        assert self._keys is not None
        key = self._keys.public_bytes
        echo = Echo(self._ranges.probe(), self.place, key, mtu=self._ranges.mtu)
        stack.callback(echo.close)
        engine.put_peer(echo.peer)
        echo.start()
        self._echo = echo
        return echo

    def _forget(self) -> None:
        self._engine = self._echo = None

    async def _begun(self) -> tuple[Ranges, GatewayKeys]:
        """Wait until the Cluster has a Gateway."""
        while self.view.ranges is None or self.view.keys is None:
            self._changed.clear()
            await self._changed.wait()
        return self.view.ranges, self.view.keys

    async def _serve(
        self, engine: Engine, keeper: PeerKeeper, prober: Prober, up: Callable[[], None]
    ) -> None:
        """Do what is due, by turns, until the engine fails."""
        failed = spawn(engine.failed(), name="failure of the engine")
        loop = asyncio.get_running_loop()
        probe_at = report_at = remember_at = loop.time()
        is_up = False
        try:
            while not failed.done():
                keeper.poke()
                await self._follow()
                now = loop.time()
                if now >= remember_at:
                    keeper.remember()
                    remember_at = now + keeper.pace
                if now >= probe_at:
                    before = self._trouble
                    await self._probe(prober)
                    probe_at = loop.time() + (_PROBE_AGAIN if self._trouble else _PROBE)
                    if self._trouble != before:
                        report_at = now
                    if not is_up:
                        is_up = True
                        up()
                if now >= report_at:
                    echo = b"" if self._echo is None else self._echo.public_key
                    series = series_of(engine, self.clock(), self._counters, besides=echo)
                    self.tell(Report(self._trouble, series).encode())
                    report_at = now + _REPORT
                await self._pause(keeper, min(probe_at, report_at, remember_at) - loop.time())
            raise GatewayError(failed.result())
        finally:
            failed.cancel()

    async def _pause(self, keeper: PeerKeeper, seconds: float) -> None:
        """Wait for the next turn, which is soon while peers are to be poked."""
        try:
            async with asyncio.timeout(_TURN if keeper.returning else max(0.0, seconds)):
                await self._changed.wait()
        except TimeoutError:
            return

    def _noticed(self, _uids: Iterable[str]) -> None:
        keys = self.view.keys
        if self._engine is not None and keys is not None and keys != self._keys:
            # At once: clients hear of it too, and who is here before us has to ask again in 5 s.
            self._keys = keys
            self._engine.set_private_key(keys.current, keys.former(self.clock()))
            if self._echo is not None:
                self._echo.change_engine_key(keys.public_bytes)
        if self.view.ranges != self._ranges or keys != self._keys:
            self._changed.set()

    async def _follow(self) -> None:
        """Have the network that the Cluster has now."""
        self._changed.clear()
        ranges = self.view.ranges
        if ranges is not None and ranges != self._ranges:
            if self._ranges is not None and ranges.mtu != self._ranges.mtu:
                raise GatewayError(f"the MTU is {ranges.mtu} now")
            await self.link.configured(ranges.link_plan(offload=self.offload))
            self._ranges = ranges

    async def _probe(self, prober: Prober) -> None:
        before = self._trouble
        self._trouble = await prober.trouble()
        if not self._trouble:
            try:
                status = await self.link.status()
            except OSError as error:
                self._trouble = f"the link process does not answer: {error}"
            else:
                self._counters = {f"firewall-{k}": v for k, v in status.counters.items()}
        if self._trouble and self._trouble != before:
            _LOG.warning("no traffic flows: %s", self._trouble)
        elif before and not self._trouble:
            _LOG.info("traffic flows")
