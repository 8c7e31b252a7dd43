"""WireGuard without sockets and without a clock (https://www.wireguard.com/papers/wireguard.pdf).

`Device` is all that others use. Names of sections in this package are the paper's.
"""

from octelium.tunnel.wireguard.constants import Timing
from octelium.tunnel.wireguard.device import Device, PeerConfig, PeerStatus, Totals
from octelium.tunnel.wireguard.endpoints import Endpoint
from octelium.tunnel.wireguard.errors import ConfigurationError
from octelium.tunnel.wireguard.load import Gauge, Limits
from octelium.tunnel.wireguard.outbox import Burst

__all__ = [
    "Burst",
    "ConfigurationError",
    "Device",
    "Endpoint",
    "Gauge",
    "Limits",
    "PeerConfig",
    "PeerStatus",
    "Timing",
    "Totals",
]
