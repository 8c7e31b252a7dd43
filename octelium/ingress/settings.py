"""What an operator may set about the front door."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from octelium.http.h1.server import ServerLimits

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds of a worker process' front door: counts, bytes and seconds.

    `public_port` is the port by which clients know the front door. `proxy_peers` are the addresses
    of load balancers that must, and alone may, send PROXY headers. `plaintext` is for a front door
    behind a proxy that terminates TLS: then nothing is encrypted here.
    """

    public_port: int = 443
    plaintext: bool = False
    proxy_peers: tuple[Network, ...] = ()
    max_connections: int = 16_384
    max_unauthenticated: int = 256
    """Connections of one peer (an IPv4 address or an IPv6 /64) of which no request was allowed."""
    max_private: int = 3750
    """Connections in the private network: of all, of one User, and of one Session."""
    max_each_user: int = 625
    max_each_session: int = 312
    handshake_timeout: float = 5.0
    """From the connection to the end of the TLS handshake, a PROXY header included."""
    catch_up_timeout: float = 5.0
    """For the replica to reach what has been acknowledged, before a request is refused."""
    limits: ServerLimits = field(default_factory=ServerLimits)
