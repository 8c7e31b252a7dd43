"""What every engine is to those who use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from octelium.tunnel.wireguard import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ConfigurationError", "Engine", "EngineError", "PeerConfig", "PeerStats"]

Place = tuple[str, int]
"""An address literal and a port; a scope is part of the address: `fe80::1%eth0`."""


class EngineError(Exception):
    """An engine cannot start or cannot go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """All settings of a peer.

    Attributes:
        allowed_ips: all of its networks, like `100.65.0.7/32`; each moves here from whoever had it.
        endpoint: where it is; None to keep what is known, or to learn it from its messages.
        keepalive: seconds between packets to it, 0 for never.
        preshared_key: 32 bytes.
        timestamp: as `PeerStats` told it, so that its old handshakes stay old after a restart.
        own: the address of ours to send from, as `PeerStats` told it, as long as it is one; empty
            for any.
    """

    public_key: bytes
    allowed_ips: tuple[str, ...] = ()
    endpoint: Place | None = None
    keepalive: int = 0
    preshared_key: bytes | None = field(default=None, repr=False)
    timestamp: bytes = b""
    own: str = ""


@dataclass(frozen=True, slots=True)
class PeerStats:
    """What became of a peer.

    Attributes:
        last_handshake: seconds since 1970, 0 for none.
        received, sent: bytes of datagrams without UDP and IP.
        timestamp: of its last handshake; empty if the engine does not tell.
        own: the address of ours that it last sent to; empty if the engine does not tell.
    """

    endpoint: Place | None
    last_handshake: float
    received: int
    sent: int
    timestamp: bytes = b""
    own: str = ""


class Engine(Protocol):
    """WireGuard between a TUN device and UDP sockets. All methods belong to one event loop.

    Descriptors stay the caller's, who closes them after `close`. What is said before `start` holds
    from then on.
    """

    name: str
    """`own` or `wireguard-go`."""
    wants_offload: bool
    """Whether it wants a TUN device with IFF_VNET_HDR: `offload` of `LinkPlan` and `open_tun`."""
    wants_sockets: bool
    """Whether it wants bound UDP sockets; else it has its own, and nobody else has the port."""

    async def start(self) -> None:
        """Begin. Raises EngineError."""

    async def failed(self) -> str:
        """Wait until the engine cannot go on, and say why. Cancelled by `close`."""

    def set_private_key(self, private_key: bytes, previous: Sequence[bytes] = ()) -> None:
        """Have another key. Peers' handshakes to keys of `previous`, the newest first, are taken
        for some time still, where the engine can.

        Raises:
            ConfigurationError: no key; nothing has changed.
        """

    def put_peer(self, peer: PeerConfig) -> None:
        """Have a peer, new or changed. Its session goes on.

        Raises:
            ConfigurationError: a setting cannot be; nothing has changed.
        """

    def change_peer_key(self, public_key: bytes, new: bytes) -> None:
        """A peer has another key, and all else stays; shake hands at once.

        Raises:
            ConfigurationError: no such peer, or no key; nothing has changed.
        """

    def remove_peer(self, public_key: bytes) -> None:
        """Have a peer no more, its sessions neither. Nothing happens if there is none."""

    def replace_peers(self, peers: Sequence[PeerConfig]) -> None:
        """Have these peers alone; those that stay keep their sessions.

        Raises:
            ConfigurationError: a setting cannot be, or a key comes twice; nothing has changed.
        """

    def poke(self, public_key: bytes) -> None:
        """Send one packet to a peer whose place is known, so that it hears of ours.

        Raises:
            ConfigurationError: no such peer.
        """

    def stats(self) -> dict[bytes, PeerStats]:
        """All peers by public key."""

    def counters(self) -> dict[str, int]:
        """What happened since the start, by name."""

    async def close(self) -> None:
        """End. May be called again."""
