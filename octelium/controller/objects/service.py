"""The Service of Kubernetes by which the Cluster reaches a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octelium.controller.managed import Managed
    from octelium.controller.objects.outcome import Manifest


def service_spec(managed: Managed, selector: dict[str, str]) -> Manifest:
    """One address within Kubernetes, and the container's port; nothing outside can reach it.

    That there are no external addresses is said, so that none stays that somebody adds.
    """
    port = managed.container.port
    return {
        "type": "ClusterIP",
        "externalIPs": [],
        "selector": dict(selector),
        "ports": [{"port": port, "targetPort": port, "protocol": managed.protocol}],
    }
