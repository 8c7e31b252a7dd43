"""What the objects of all containers have in common: it comes from the installation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.schema.containers import UPSTREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """Where containers live, who may reach them and what they may reach.

    `cluster_namespace` and `cluster_labels` are those of the Cluster's own Pod, the only one that
    containers take connections from. `refused` are addresses and networks in CIDR notation beyond
    those that are not public: the node's own, the endpoint of the Kubernetes API, networks of Pods
    and Services that have public addresses.
    """

    namespace: str = UPSTREAMS
    cluster_namespace: str = "octelium"
    cluster_labels: Mapping[str, str] = field(
        default_factory=lambda: {
            "app.kubernetes.io/name": "octelium",
            "app.kubernetes.io/component": "cluster",
        }
    )
    name_servers: tuple[str, ...] = ("8.8.8.8", "1.1.1.1")
    """Addresses, at most three: more are ignored by resolvers (resolv.conf(5))."""
    refused: tuple[str, ...] = ()
    no_registries: tuple[str, ...] = ()
    """Networks in CIDR notation in which the node is sent to no registry: that of the Services of
    Kubernetes, with its API. Private networks besides may have some."""
