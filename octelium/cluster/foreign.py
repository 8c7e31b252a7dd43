"""Which addresses belong to others than containers, as far as control knows them itself."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from octelium.cluster.host import own_addresses
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.store.resources import Resources

API_SERVER = "KUBERNETES_SERVICE_HOST"
"""Where the kubelet tells every container of a Pod the address of Kubernetes' API."""


def foreign_networks(
    resources: Resources, environ: Mapping[str, str]
) -> tuple[IPv4Network | IPv6Network, ...]:
    """This machine's own addresses, the one of Kubernetes' API, and the Cluster's private network.

    Raises:
        OSError: the kernel does not tell what this machine's addresses are.
    """
    told = {*own_addresses(), environ.get(API_SERVER, "")}
    config = resources.peek(core.ClusterConfig, name="default")
    if config is not None:
        network = config.status.network.cluster_network
        told |= {network.v4, network.v6}
    found = []
    for text in sorted(told - {""}):
        with suppress(ValueError):  # a host's name is no address that anybody could tell
            found.append(ip_network(text, strict=False))
    return tuple(found)
