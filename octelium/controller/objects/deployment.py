"""The Deployment of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.controller.objects.resources import needs_devices
from octelium.controller.objects.volumes import keeps_data

if TYPE_CHECKING:
    from octelium.controller.objects.outcome import Manifest
    from octelium.schema.pb import core_v1_pb2 as core

_HISTORY: Final = 2
"""Old ReplicaSets that are kept for who looks into a failed change."""
_DEADLINE: Final = 600
"""Seconds without progress after which a change is said to have failed."""


def deployment_spec(
    container: core.ServiceSpecConfigUpstreamContainer,
    selector: dict[str, str],
    template: Manifest,
) -> Manifest:
    """The Deployment of a Pod's template: one Pod, or as many as `replicas` says."""
    return {
        "replicas": container.replicas or 1,
        "revisionHistoryLimit": _HISTORY,
        "progressDeadlineSeconds": _DEADLINE,
        "selector": {"matchLabels": dict(selector)},
        "strategy": _strategy(container),
        "template": template,
    }


def _strategy(container: core.ServiceSpecConfigUpstreamContainer) -> Manifest:
    """New Pods before the old ones go, unless both would want the same thing.

    Two programs must not write the same claim, and a device that one Pod holds the next one waits
    for.
    """
    if keeps_data(container) or needs_devices(container):
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}
