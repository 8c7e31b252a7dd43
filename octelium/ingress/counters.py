"""What the front door and the private network count, for metrics and health."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Numbers since the process began; each only grows."""

    connections: int = 0
    """Connections accepted."""
    over_limit: int = 0
    """Connections closed at once because there were too many."""
    handshakes: int = 0
    handshake_failures: int = 0
    bad_first_bytes: int = 0
    """Connections closed for a PROXY header that was missing or wrong, or for no known protocol."""
    requests: int = 0
    misdirected: int = 0
    """Requests for a name outside the certificate that the client was shown."""
    not_found: int = 0
    """Requests for a name without a Service."""
    behind: int = 0
    """Requests that had to wait for the replica."""
    refused_behind: int = 0
    """Requests refused because the replica did not catch up in time."""


@dataclass(slots=True)
class PrivateCounters:
    """What comes through tunnels; each number only grows."""

    connections: int = 0
    datagrams: int = 0
    requests: int = 0
    unknown_service: int = 0
    """Calls of an address or port that is no Service's."""
    unknown_address: int = 0
    """Calls from an address that is no connected Session's."""
    over_limit: int = 0
    behind: int = 0
    """Calls and requests that had to wait for the replica."""
    refused_behind: int = 0
    bad_datagrams: int = 0
