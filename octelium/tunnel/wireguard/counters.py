"""What a device dropped and why, and what it did of its own accord."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """Messages and packets since the device was made."""

    malformed: int = 0
    """Datagrams that are no message, decrypted packets and packets to send that are not IP."""
    bad_mac1: int = 0
    """Handshake messages for another public key, or of someone who does not know ours."""
    bad_handshake: int = 0
    """Handshake messages that prove nothing: a wrong key, a wrong preshared key, forged."""
    unknown_peer: int = 0
    """Initiations of public keys that are no peer's."""
    old_handshake: int = 0
    """Initiations with a timestamp seen before, or too close to the last one."""
    overload: int = 0
    """Handshake messages dropped beyond the budget of their source or of the device."""
    cookies_sent: int = 0
    cookies_received: int = 0
    bad_cookie: int = 0
    """Cookie replies that nobody asked for, or that do not open."""
    unknown_index: int = 0
    """Messages of no session that is known."""
    expired: int = 0
    """Data messages of a session past its end."""
    bad_tag: int = 0
    """Data messages that were forged or damaged."""
    replay: int = 0
    """Data messages seen before, or too old to tell."""
    bad_source: int = 0
    """Decrypted packets whose source address is not their peer's."""
    no_route: int = 0
    """Packets to send to an address that is no peer's."""
    no_endpoint: int = 0
    """Packets to send to a peer whose place is not known."""
    staged_dropped: int = 0
    """Packets that waited for a session too long, or among too many."""
    keepalives_received: int = 0
    handshakes: int = 0
    """Sessions that came about, in either role."""

    def as_dict(self) -> dict[str, int]:
        """All of them by name."""
        return asdict(self)
