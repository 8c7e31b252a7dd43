"""What the gateway sees of a resource: the members that it needs, and nothing else.

It talks to everybody on the Internet, so that what it does not know it cannot lose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from octelium.schema.pb import core_v1_pb2 as core

Reduce = Callable[[Any], bytes | None]
"""From a resource to the bytes of what is left of it; None if nothing of it is to be seen."""

_TYPES = core.SessionStatusConnectionType__
_KEY = 32


def _config(config: core.ClusterConfig) -> bytes:
    """The network."""
    kept = core.ClusterConfig()
    kept.metadata.uid = config.metadata.uid
    kept.status.network.CopyFrom(config.status.network)
    kept.status.network_config.CopyFrom(config.status.network_config)
    return kept.SerializeToString(deterministic=True)


def _session(session: core.Session) -> bytes | None:
    """Key, addresses and mode of a connection by WireGuard; None for every other Session."""
    status = session.status
    connection = status.connection
    if (
        session.spec.state != core.SessionSpecState__.ACTIVE
        or status.is_locked
        or connection.type != _TYPES.WIREGUARD
        or len(connection.x25519_public_key) != _KEY
        or not connection.addresses
    ):
        return None
    kept = core.Session()
    kept.metadata.uid = session.metadata.uid
    kept.spec.state = session.spec.state
    shown = kept.status.connection
    shown.type, shown.l3_mode = connection.type, connection.l3_mode
    shown.x25519_public_key = connection.x25519_public_key
    shown.addresses.extend(connection.addresses)
    return kept.SerializeToString(deterministic=True)


REDUCED: Mapping[str, Mapping[str, Reduce]] = {
    "gateway": {"ClusterConfig": _config, "Session": _session},
}
"""Role → kind → what is left of it. Other kinds are seen whole."""
