"""Why a Service cannot be served as it is configured."""

from __future__ import annotations

from enum import StrEnum


class Unserviceable(Exception):  # noqa: N818 - a state of the configuration, named as one
    """A configuration that must not be served, neither as it is nor without its offending part.

    `status` is the answer to requests: 500 for what this version does not offer, 502 for what is
    missing. `str()` is for operators and names no secret values.
    """

    def __init__(self, problem: str, status: int = 500) -> None:
        super().__init__(problem)
        self.status = status


def not_offered(feature: str) -> Unserviceable:
    """A configured feature that this version lacks; serving without it may open what it guards."""
    return Unserviceable(f"{feature} is not offered by this version")


class Absence(StrEnum):
    """Why a container is not there; the value says it to operators."""

    UNMANAGED = "this Cluster has no controller that would start the container"
    STARTING = "the container is starting"
    ABANDONED = "no controller is connected that would start the container"
    FAILING = "the container is not ready"


class NotReady(Unserviceable):
    """A container to which nothing can be sent now; requests may be made again later.

    `reason` is a word of Kubernetes such as `CrashLoopBackOff`, and may be empty.
    """

    def __init__(self, absence: Absence, reason: str = "") -> None:
        super().__init__(f"{absence}: {reason}" if reason else absence, 503)
        self.absence = absence
        self.reason = reason
