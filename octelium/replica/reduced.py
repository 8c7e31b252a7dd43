"""What a role sees of a resource: the members that it needs, and nothing else.

The gateway talks to everybody on the Internet, and the controller to another system with all that
it knows: what they do not know they cannot lose. The data plane is spared what changes often and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from octelium.schema.pb import container_v1_pb2 as container
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


def _cluster(config: core.ClusterConfig) -> bytes:
    """Which Cluster it is."""
    kept = core.ClusterConfig()
    kept.metadata.uid = config.metadata.uid
    return kept.SerializeToString(deterministic=True)


def _containers(service: core.Service) -> bytes | None:
    """The containers of a Service, and its mode; None for a Service without any."""
    kept = core.Service()
    if service.spec.config.upstream.HasField("container"):
        kept.spec.config.upstream.container.CopyFrom(service.spec.config.upstream.container)
    for config in service.spec.dynamic_config.configs:
        if config.upstream.HasField("container"):
            one = kept.spec.dynamic_config.configs.add(name=config.name)
            one.upstream.container.CopyFrom(config.upstream.container)
    if not kept.HasField("spec"):
        return None
    kept.metadata.uid, kept.metadata.name = service.metadata.uid, service.metadata.name
    kept.spec.mode = service.spec.mode
    return kept.SerializeToString(deterministic=True)


def _container_state(state: container.ContainerState) -> bytes:
    """Where containers are reached; no numbers, and nothing of what is told to people."""
    kept = container.ContainerState()
    for one in state.status.containers:
        kept.status.containers.add(
            config=one.config,
            address=one.address,
            port=one.port,
            ready=one.ready,
            reason=one.reason,
        )
    return kept.SerializeToString(deterministic=True)


REDUCED: Mapping[str, Mapping[str, Reduce]] = {
    "data-plane": {"ContainerState": _container_state},
    "gateway": {"ClusterConfig": _config, "Session": _session},
    "controller": {"ClusterConfig": _cluster, "Service": _containers},
}
"""Role → kind → what is left of it. Other kinds are seen whole."""
