"""A WireGuard device without sockets and without a clock: bytes and times in, bytes out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.constants import NEVER, Timing
from octelium.tunnel.wireguard.endpoints import Endpoint, check_endpoint
from octelium.tunnel.wireguard.errors import ConfigurationError, HandshakeError
from octelium.tunnel.wireguard.handshakes import Handshakes
from octelium.tunnel.wireguard.identity import Identity, check_key
from octelium.tunnel.wireguard.load import Gauge, Limits
from octelium.tunnel.wireguard.messages import DATA, DATA_MINIMUM
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.primitives import TIMESTAMP, exchange
from octelium.tunnel.wireguard.state import State, random_part
from octelium.tunnel.wireguard.timers import Timers
from octelium.tunnel.wireguard.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from octelium.tunnel.wireguard.counters import Counters
    from octelium.tunnel.wireguard.outbox import Burst
    from octelium.tunnel.wireguard.primitives import Buffer
    from octelium.tunnel.wireguard.routes import Network


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """What a peer is to be.

    In an update None leaves a setting as it is; for a new peer it means none.

    Attributes:
        preshared_key: 32 bytes; all zero for none.
        endpoint: where it is; learned from its messages otherwise.
        persistent_keepalive: seconds, 0 for never.
        allowed_ips: all of its networks; each moves here from the peer that had it.
        timestamp: the greatest TAI64N label it has sent, as `PeerStatus` told it.
    """

    public_key: bytes
    preshared_key: bytes | None = None
    endpoint: Endpoint | None = None
    persistent_keepalive: int | None = None
    allowed_ips: tuple[Network, ...] | None = None
    timestamp: bytes | None = None


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What became of a peer; bytes are those of datagrams without UDP and IP.

    Attributes:
        timestamp: the greatest TAI64N label it has sent, b"" for none.
        handshake_at: of its last session by the injected clock; None for none.
        handshake_wall: the same in nanoseconds since 1970; 0 for none.
    """

    public_key: bytes
    endpoint: Endpoint | None
    allowed_ips: tuple[Network, ...]
    persistent_keepalive: int
    timestamp: bytes
    handshake_at: float | None
    handshake_wall: int
    rx_bytes: int
    tx_bytes: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Of many peers: how many there are, how many have a session that counts, their bytes."""

    peers: int
    live: int
    received: int
    sent: int


class Device:
    """One interface: a private key, its peers, their sessions.

    `now` is a monotonic time in seconds, of CLOCK_BOOTTIME where machines sleep: the ends of
    sessions are meant in real time. A `now` before the last one counts as the last one. After each
    call that takes `now`, `drain` has what is to be sent, and `deadline` tells when `tick` is due.

    Raises:
        ConfigurationError: a key or a setting that cannot be; nothing has changed then.
    """

    def __init__(
        self,
        private_key: bytes,
        *,
        mtu: int = 1280,
        timing: Timing | None = None,
        limits: Limits | None = None,
        gauge: Gauge | None = None,
        wall: Callable[[], int] = time.time_ns,
        random: Callable[[float], float] = random_part,
    ) -> None:
        self._state = State(
            Identity(private_key),
            timing=timing or Timing(),
            limits=limits or Limits(),
            gauge=gauge,
            wall=wall,
            random=random,
        )
        self._timers = Timers(self._state)
        self._handshakes = Handshakes(self._state, self._timers)
        self._transport = Transport(self._state, self._timers, self._handshakes, mtu)
        self._now = -NEVER

    # Packets

    def receive(self, datagrams: Iterable[tuple[Buffer, Endpoint]], now: float) -> list[bytes]:
        """Take datagrams from the network; the IP packets for this host that were in them.

        Whatever a datagram holds, it raises nothing: `counters` tells what was dropped.
        """
        return self._transport.receive(datagrams, self._clock(now))

    def origin(self, datagram: Buffer) -> Hashable:
        """Who a datagram says it is from: something of each peer's own, or None. That is not yet to
        say that it is the peer's.
        """
        if len(datagram) < DATA_MINIMUM or datagram[0] != DATA:
            return None
        keypair = self._state.indices.keypairs.get(int.from_bytes(datagram[4:8], "little"))
        return None if keypair is None else keypair.peer

    def send(self, packets: Sequence[Buffer], now: float) -> None:
        """Take IP packets of this host for the network.

        A packet whose peer has no session waits for one, within bounds.
        """
        self._transport.send(packets, self._clock(now))

    def drain(self) -> list[Burst]:
        """Datagrams to send: (endpoint, datagrams of one size, of which the last may be smaller).

        Call it after every other call; what is not taken stays in memory.
        """
        return self._state.outbox.drain()

    # Time

    def deadline(self) -> float:
        """When `tick` is to be called at the latest; infinity if there is nothing to wait for.

        Minus infinity, while handshakes wait, means as soon as other work has had its turn.
        """
        return -NEVER if self._handshakes.has_waiting else self._state.scheduler.next()

    def tick(self, now: float) -> None:
        """Open some of the handshakes that wait, and do what the timers of section 6 ask for."""
        now = self._clock(now)
        self._handshakes.proceed(now)
        for peer in self._state.scheduler.due(now):
            self._act(peer, now)
            self._state.scheduler.wake(peer, peer.earliest())

    def poke(self, public_key: bytes, now: float) -> None:
        """Let a peer know where we are: a keepalive, or a handshake if there is no session.

        Nothing happens as long as its own place is not known.

        Raises:
            ConfigurationError: no such peer.
        """
        self._transport.keepalive(self._peer(public_key), self._clock(now))

    # Our key

    @property
    def public_key(self) -> bytes:
        """Of the present private key."""
        return self._state.identities.present.public

    def set_private_key(self, private_key: bytes, now: float, *, grace: float = 0.0) -> None:
        """Have another static key; handshakes to the one before are taken for `grace` seconds.

        Sessions go on until their own end (at most REJECT_AFTER_TIME): their keys come from
        ephemeral secrets too, so that the static key alone never opens them (section 5.4.5), and
        cutting them would only lose packets. Peers hear of the new key by other means and make new
        sessions with it. Four former keys are kept at most; the oldest gives way.

        Raises:
            ConfigurationError: no key, or the public key of a peer; nothing has changed then.
        """
        now = self._clock(now)
        identity = Identity(private_key)
        if identity.public == self.public_key:
            return
        if identity.public in self._state.peers:
            raise ConfigurationError("private key: its public key is a peer's")
        self._state.identities.replace(identity, now + grace)

    # Peers

    def add_peer(self, config: PeerConfig, now: float) -> None:
        """Have a new peer. With a persistent keepalive and an endpoint, begin a handshake.

        Raises:
            ConfigurationError: it is there already, or a setting cannot be; nothing has changed.
        """
        if config.public_key in self._state.peers:
            raise ConfigurationError(f"peer {config.public_key.hex()}: is there already")
        self._check(config)
        self._state.peers[config.public_key] = peer = Peer(config.public_key)
        self._apply(peer, config, self._clock(now))

    def update_peer(self, config: PeerConfig, now: float) -> None:
        """Change a peer that is there, and only then; its sessions go on.

        Raises:
            ConfigurationError: no such peer, or a setting cannot be; nothing has changed.
        """
        peer = self._peer(config.public_key)
        self._check(config)
        self._apply(peer, config, self._clock(now))

    def change_peer_key(self, public_key: bytes, new: bytes, now: float) -> None:
        """A peer has another static key: begin a handshake with it at once.

        Settings, addresses and sessions stay, so that traffic goes on in the present session
        until there is one with the new key.

        Raises:
            ConfigurationError: no such peer, or the new key cannot be; nothing has changed.
        """
        now = self._clock(now)
        peer = self._peer(public_key)
        if new == public_key:
            return
        if new in self._state.peers:
            raise ConfigurationError(f"peer {new.hex()}: is there already")
        self._check(PeerConfig(new))
        state = self._state
        state.identities.forget(public_key)
        del state.peers[public_key]
        state.changed.discard(public_key)
        state.peers[new] = peer
        peer.become(new)
        peer.timestamp = b""
        peer.initiation_at = -NEVER
        self._handshakes.initiate(peer, now)

    def remove_peer(self, public_key: bytes) -> None:
        """Have a peer no more: its sessions and keys are gone at once.

        Raises:
            ConfigurationError: no such peer.
        """
        peer = self._peer(public_key)
        state = self._state
        del state.peers[public_key]
        state.routes.clear(peer)
        state.indices.end_all(peer)
        state.drop_staged(peer)
        state.identities.forget(public_key)
        state.changed.discard(public_key)
        self._timers.stop(peer)

    def replace_peers(self, configs: Sequence[PeerConfig], now: float) -> None:
        """Have these peers and no others; those that stay keep their sessions.

        Raises:
            ConfigurationError: a setting cannot be, or a key comes twice; nothing has changed.
        """
        now = self._clock(now)
        wanted = {config.public_key: config for config in configs}
        if len(wanted) != len(configs):
            raise ConfigurationError("peers: a public key comes twice")
        for config in configs:
            self._check(config)
        for public_key in [key for key in self._state.peers if key not in wanted]:
            self.remove_peer(public_key)
        for config in configs:
            if config.public_key in self._state.peers:
                self.update_peer(config, now)
            else:
                self.add_peer(config, now)

    def peer(self, public_key: bytes) -> PeerStatus:
        """A peer's state.

        Raises:
            ConfigurationError: no such peer.
        """
        return self._status(self._peer(public_key))

    def peers(self) -> list[PeerStatus]:
        """The state of all peers, in the order of their coming."""
        return [self._status(peer) for peer in self._state.peers.values()]

    def totals(self, since: int, besides: bytes = b"") -> Totals:
        """Of all peers but the one with the key `besides`. A session counts if it came about after
        `since`, in nanoseconds since 1970.
        """
        counted = [each for key, each in self._state.peers.items() if key != besides]
        return Totals(
            len(counted),
            sum(each.handshake_wall > since for each in counted),
            sum(each.rx_bytes for each in counted),
            sum(each.tx_bytes for each in counted),
        )

    @property
    def has_changed(self) -> bool:
        """Whether `take_changed` has something to tell."""
        return bool(self._state.changed)

    def take_changed(self) -> set[bytes]:
        """Public keys whose endpoint, timestamp or session changed since the last call."""
        changed, self._state.changed = self._state.changed, set()
        return changed

    @property
    def counters(self) -> Counters:
        """What was dropped and why."""
        return self._state.counters

    # Inside

    def _clock(self, now: float) -> float:
        if now > self._now:
            self._now = now
        return self._now

    def _peer(self, public_key: bytes) -> Peer:
        peer = self._state.peers.get(public_key)
        if peer is None:
            raise ConfigurationError(f"peer {public_key.hex()}: there is none")
        return peer

    def _status(self, peer: Peer) -> PeerStatus:
        return PeerStatus(
            public_key=peer.public,
            endpoint=peer.endpoint,
            allowed_ips=self._state.routes.held(peer),
            persistent_keepalive=peer.persistent,
            timestamp=peer.timestamp,
            handshake_at=None if peer.handshake_at == NEVER else peer.handshake_at,
            handshake_wall=peer.handshake_wall,
            rx_bytes=peer.rx_bytes,
            tx_bytes=peer.tx_bytes,
        )

    def _check(self, config: PeerConfig) -> None:
        key = check_key(config.public_key, "peer's public key")
        name = f"peer {key.hex()}"
        if key == self.public_key:
            raise ConfigurationError(f"{name}: is this device's own public key")
        if key not in self._state.peers:
            try:
                exchange(self._state.identities.present.private, key)
            except HandshakeError as error:
                raise ConfigurationError(f"{name}: {error}") from error
        if config.preshared_key is not None:
            check_key(config.preshared_key, f"{name}: preshared key")
        if config.endpoint is not None:
            check_endpoint(config.endpoint)
        keepalive = config.persistent_keepalive
        if keepalive is not None and not 0 <= keepalive <= 65_535:
            raise ConfigurationError(f"{name}: the persistent keepalive must be 0 to 65535 s")
        for network in config.allowed_ips or ():
            if not isinstance(network, IPv4Network | IPv6Network):
                raise ConfigurationError(f"{name}: {network!r} is no IP network")
        if config.timestamp and len(config.timestamp) != TIMESTAMP:
            raise ConfigurationError(f"{name}: a timestamp has {TIMESTAMP} bytes")

    def _apply(self, peer: Peer, config: PeerConfig, now: float) -> None:
        """Set what is given; `_check` has seen it."""
        routes = self._state.routes
        if config.preshared_key is not None:
            peer.psk = config.preshared_key
        if config.endpoint is not None:
            peer.endpoint = config.endpoint
        if config.timestamp is not None:
            peer.timestamp = max(peer.timestamp, config.timestamp)
        if config.allowed_ips is not None:
            wanted = dict.fromkeys(config.allowed_ips)
            for network in routes.held(peer):
                if network not in wanted:
                    routes.remove(network, peer)
            for network in wanted:
                routes.add(network, peer)
        if config.persistent_keepalive is not None:
            before, peer.persistent = peer.persistent, config.persistent_keepalive
            if not peer.persistent:
                peer.persistent_at = NEVER
            elif not before:
                self._timers.traversed(peer, now)
                self._transport.keepalive(peer, now)

    def _act(self, peer: Peer, now: float) -> None:
        """Do what those of a peer's timers ask for that are due (sections 6.3 to 6.5)."""
        timing = self._state.timing
        if peer.retransmit_at <= now:
            peer.retransmit_at = NEVER
            peer.attempts += 1
            if peer.attempts > timing.rekey_attempt / timing.rekey_timeout:
                peer.keepalive_at = NEVER
                self._state.drop_staged(peer)
                if peer.forget_at == NEVER:
                    peer.forget_at = now + timing.forget_after
            else:
                self._handshakes.initiate(peer, now, retry=True)
        if peer.keepalive_at <= now:
            peer.keepalive_at = NEVER
            self._transport.keepalive(peer, now)
            if peer.another_keepalive:
                peer.another_keepalive = False
                peer.keepalive_at = now + timing.keepalive_timeout
        if peer.new_handshake_at <= now:
            peer.new_handshake_at = NEVER
            self._handshakes.initiate(peer, now)
        if peer.forget_at <= now:
            peer.forget_at = NEVER
            self._state.indices.end_all(peer)
        if peer.persistent_at <= now:
            self._timers.traversed(peer, now)
            self._transport.keepalive(peer, now)
