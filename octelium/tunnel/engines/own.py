"""Our own WireGuard on a TUN device and UDP sockets, in one event loop that does little else."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from octelium.tunnel.engines.fair import QUANTUM, FairQueues
from octelium.tunnel.engines.interface import EngineError, PeerConfig, PeerStats
from octelium.tunnel.engines.places import from_place, to_place
from octelium.tunnel.engines.tun import TunPort
from octelium.tunnel.engines.udp import UdpPort
from octelium.tunnel.wireguard import ConfigurationError, Device, Limits, Timing
from octelium.tunnel.wireguard import PeerConfig as DevicePeer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.tunnel.wireguard import Endpoint, PeerStatus, Totals
    from octelium.tunnel.wireguard.primitives import Buffer

_LOG = logging.getLogger(__name__)
PREVIOUS_SECONDS: Final = 600.0
"""How long handshakes to a previous key are taken."""
_LONGEST_SLEEP: Final = 5.0
"""Seconds. The loop's clock stands still while the machine sleeps; ours does not."""
_NAP: Final = 0.01
"""Seconds. Timers of many peers that are due close together are served together."""
_AT_ONCE: Final = 256
"""Datagrams that are taken as they come, if there are no more."""
_GATHERED: Final = 4096
"""Datagrams that are gathered at most before the next turn of those that wait."""
_SERVED: Final = 2 * QUANTUM
"""Datagrams of one turn, when some wait: a millisecond or two of work."""
_KEY: Final = 32
_NO_KEY: Final = bytes(_KEY)


def boottime() -> float:
    """Seconds that also pass while the machine sleeps (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class OwnEngine:
    """An `Engine`; see there. `octelium.tunnel.wireguard` says what it does.

    `sockets` are bound UDP sockets, one per address family, or one of IPv6 for both. With
    `answers_from`, for hosts that others call, peers are answered from the address that they call.

    Raises:
        ConfigurationError: no key, or no socket.
    """

    name = "own"
    wants_offload = True
    wants_sockets = True

    def __init__(
        self,
        tun: int,
        sockets: Sequence[socket.socket],
        *,
        private_key: bytes,
        previous: Sequence[bytes] = (),
        mtu: int = 1280,
        timing: Timing | None = None,
        limits: Limits | None = None,
        answers_from: bool = False,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._counters: Counter[str] = Counter()
        self._clock = clock
        self._accepted = [*reversed(previous), private_key]
        self._device = Device(self._accepted[0], mtu=mtu, timing=timing, limits=limits)
        for key in self._accepted[1:]:
            self._device.set_private_key(key, clock(), grace=PREVIOUS_SECONDS)
        self._ports = [UdpPort(each, self._counters, answers_from=answers_from) for each in sockets]
        self._v4 = next((each for each in self._ports if each.takes_ipv4), None)
        self._v6 = next((each for each in self._ports if each.family == socket.AF_INET6), None)
        if not self._ports:
            raise ConfigurationError("an engine needs a UDP socket")
        self._tun = TunPort(tun, self._counters)
        self._peers: set[bytes] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: asyncio.Future[str] | None = None
        self._tun_full = False
        self._udp_full = False
        self._queues = FairQueues()
        self._serving: asyncio.Handle | None = None
        self._on_change: Callable[[], None] | None = None
        self._is_told = False

    # Life

    async def start(self) -> None:
        """Begin."""
        if self._loop is not None:
            raise EngineError("the engine runs already")
        self._loop = loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        loop.add_reader(self._tun.descriptor, self._tun_readable)
        for port in self._ports:
            loop.add_reader(port.socket, self._udp_readable, port)
        self._settle()

    async def failed(self) -> str:
        """Wait until the TUN device is gone."""
        if self._failure is None:
            raise EngineError("the engine does not run")
        return await asyncio.shield(self._failure)

    async def close(self) -> None:
        """End; descriptors stay open."""
        self._stop()
        if self._failure is not None and not self._failure.done():
            self._failure.cancel()

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._serving is not None:
            self._serving.cancel()
        for number in (self._tun.descriptor, *(port.socket.fileno() for port in self._ports)):
            loop.remove_reader(number)
            loop.remove_writer(number)

    def _fail(self, error: EngineError) -> None:
        _LOG.error("engine: %s", error)
        self._stop()
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(str(error))

    # Settings

    def set_private_key(self, private_key: bytes, previous: Sequence[bytes] = ()) -> None:
        """Have another key; the device's own former one is taken on if `previous` has it."""
        now = self._clock()
        for key in (private_key, *previous):
            if len(key) != _KEY:
                raise ConfigurationError(f"private key: {len(key)} bytes are not {_KEY}")
        for key in (*reversed(previous), private_key):
            if key in self._accepted and key != private_key:
                continue
            kept = self._accepted[-1] in previous
            self._device.set_private_key(key, now, grace=PREVIOUS_SECONDS if kept else 0.0)
            self._accepted = [*(one for one in self._accepted if one in previous), key]
        self._settle()

    def put_peer(self, peer: PeerConfig) -> None:
        """Have a peer."""
        now = self._clock()
        config = self._config(peer)
        if peer.public_key in self._peers:
            self._device.update_peer(config, now)
        else:
            self._device.add_peer(config, now)
            self._peers.add(peer.public_key)
        if peer.own and config.endpoint is not None:
            port = self._port(config.endpoint)
            if port is not None:
                port.answer_from(config.endpoint, peer.own)
        self._settle()

    def change_peer_key(self, public_key: bytes, new: bytes) -> None:
        """Go on with a peer's present session until there is one with the new key."""
        self._device.change_peer_key(public_key, new, self._clock())
        self._peers.discard(public_key)
        self._peers.add(new)
        self._settle()

    def remove_peer(self, public_key: bytes) -> None:
        """Have a peer no more."""
        if public_key in self._peers:
            self._device.remove_peer(public_key)
            self._peers.discard(public_key)

    def replace_peers(self, peers: Sequence[PeerConfig]) -> None:
        """Have these peers alone."""
        self._device.replace_peers([self._config(each) for each in peers], self._clock())
        self._peers = {each.public_key for each in peers}
        self._settle()

    def poke(self, public_key: bytes) -> None:
        """Send a keepalive, or begin a handshake."""
        self._device.poke(public_key, self._clock())
        self._settle()

    def stats(self) -> dict[bytes, PeerStats]:
        """All peers."""
        return {each.public_key: self._stats(each) for each in self._device.peers()}

    def totals(self, since: float, besides: bytes) -> Totals:
        """Of all peers but `besides`, at a fraction of what `stats` costs."""
        return self._device.totals(int(since * 1e9), besides)

    def on_change(self, told: Callable[[], None]) -> None:
        """Call `told` when `take_changed` has something to tell: once, until that is taken."""
        self._on_change, self._is_told = told, False
        self._settle()

    def take_changed(self) -> dict[bytes, PeerStats]:
        """Peers whose endpoint, timestamp or session changed since the last call."""
        self._is_told = False
        return {key: self._stats(self._device.peer(key)) for key in self._device.take_changed()}

    def _stats(self, peer: PeerStatus) -> PeerStats:
        return PeerStats(
            endpoint=None if peer.endpoint is None else to_place(peer.endpoint),
            last_handshake=peer.handshake_wall / 1e9,
            received=peer.rx_bytes,
            sent=peer.tx_bytes,
            timestamp=peer.timestamp,
            own=self._own_address(peer.endpoint),
        )

    def counters(self) -> dict[str, int]:
        """Those of the device, and those of its descriptors."""
        return {**self._device.counters.as_dict(), **self._counters}

    def _port(self, endpoint: Endpoint) -> UdpPort | None:
        """The socket that leads to an endpoint."""
        return self._v4 if len(endpoint) == 2 else self._v6

    def _own_address(self, endpoint: Endpoint | None) -> str:
        port = None if endpoint is None else self._port(endpoint)
        return "" if endpoint is None or port is None else port.own_address(endpoint)

    def _config(self, peer: PeerConfig) -> DevicePeer:
        name = f"peer {peer.public_key.hex()}"
        try:
            networks = tuple(ip_network(each) for each in peer.allowed_ips)
        except ValueError as error:
            raise ConfigurationError(f"{name}: {error}") from error
        endpoint: Endpoint | None = None
        if peer.endpoint is not None:
            v4 = None if self._v4 is None else self._v4.family
            endpoint = from_place(peer.endpoint, v4=v4, v6=self._v6 is not None)
        return DevicePeer(
            peer.public_key,
            preshared_key=peer.preshared_key or _NO_KEY,
            endpoint=endpoint,
            persistent_keepalive=peer.keepalive,
            allowed_ips=networks,
            timestamp=peer.timestamp or None,
        )

    # Packets

    def _udp_readable(self, port: UdpPort) -> None:
        datagrams = port.receive()
        if not self._queues and port.drained and len(datagrams) <= _AT_ONCE:
            if datagrams:
                self._take(datagrams)
            return
        # More comes than is done with at once. What is read costs little, and what overflows in the
        # kernel is anybody's: so all is read, and then peers take turns.
        self._gather(datagrams)
        gathered = len(datagrams)
        while not port.drained and gathered < _GATHERED:
            datagrams = port.receive()
            gathered += len(datagrams)
            self._gather(datagrams)
        if self._serving is None:
            self._serve()

    def _gather(self, datagrams: Sequence[tuple[memoryview, Endpoint]]) -> None:
        if dropped := self._queues.put(datagrams, self._device.origin):
            self._counters["peer_over_share"] += dropped

    def _serve(self) -> None:
        """Some turns of those that wait, and the next ones after what else there is to do."""
        self._serving = None
        served = 0
        while self._queues and served < _SERVED and not self._tun_full and self._loop is not None:
            peer, datagrams = self._queues.take()
            served += len(datagrams)
            self._take(datagrams)
            if peer is None:  # strangers: the device opens a few handshakes each time
                break
        if self._queues and not self._tun_full and self._loop is not None:
            self._serving = self._loop.call_soon(self._serve)

    def _take(self, datagrams: Sequence[tuple[Buffer, Endpoint]]) -> None:
        packets = self._device.receive(datagrams, self._clock())
        if packets:
            try:
                self._tun.write(packets)
            except EngineError as error:
                self._fail(error)
                return
            if self._tun.waiting:
                self._hold_udp()
        self._settle()

    def _tun_readable(self) -> None:
        try:
            packets = self._tun.read()
        except EngineError as error:
            self._fail(error)
            return
        if packets:
            self._device.send(packets, self._clock())
            self._settle()

    def _settle(self) -> None:
        """Send what the device has, and be there when its next timer is due."""
        loop = self._loop
        if loop is None:
            return
        for burst in self._device.drain():
            port = self._port(burst[0])
            if port is None:
                self._counters["udp_no_socket"] += len(burst[1])
                continue
            port.send(burst)
            if port.waiting:
                self._hold_tun(port)
        deadline = self._device.deadline()
        if deadline < self._due:
            self._arm(loop, deadline)
        if not self._is_told and self._on_change is not None and self._device.has_changed:
            self._is_told = True
            self._on_change()

    def _arm(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if deadline < 0:  # something waits, for the packets that are there to go first
            self._due = deadline
            self._timer = loop.call_later(0, self._tick)
            return
        now = self._clock()
        delay = min(max(deadline - now, _NAP), _LONGEST_SLEEP)
        self._due = now + delay
        self._timer = loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._due = float("inf")
        self._device.tick(self._clock())
        self._settle()

    # Back-pressure: who cannot pass packets on reads no more

    def _hold_tun(self, port: UdpPort) -> None:
        assert self._loop is not None
        if not self._udp_full:
            self._udp_full = True
            self._counters["udp_full"] += 1
            self._loop.remove_reader(self._tun.descriptor)
        self._loop.add_writer(port.socket, self._udp_writable, port)

    def _udp_writable(self, port: UdpPort) -> None:
        loop: Any = self._loop
        port.flush()
        if port.waiting:
            return
        loop.remove_writer(port.socket)
        if not any(each.waiting for each in self._ports):
            self._udp_full = False
            loop.add_reader(self._tun.descriptor, self._tun_readable)

    def _hold_udp(self) -> None:
        assert self._loop is not None
        if self._tun_full:
            return
        self._tun_full = True
        self._counters["tun_full"] += 1
        for port in self._ports:
            self._loop.remove_reader(port.socket)
        self._loop.add_writer(self._tun.descriptor, self._tun_writable)

    def _tun_writable(self) -> None:
        loop: Any = self._loop
        try:
            self._tun.flush()
        except EngineError as error:
            self._fail(error)
            return
        if self._tun.waiting:
            return
        self._tun_full = False
        loop.remove_writer(self._tun.descriptor)
        for port in self._ports:
            loop.add_reader(port.socket, self._udp_readable, port)
        if self._queues and self._serving is None:
            self._serve()
