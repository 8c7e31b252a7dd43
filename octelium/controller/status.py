"""What the controller tells of the containers it keeps: plain data, for the feed and for people."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENTS = 8
"""Events told for one container: the last ones."""
MAX_TEXT = 1024
"""Characters of a message; a longer one is cut."""
MAX_NAME = 253
"""Characters of a reason or of what an event is about: Kubernetes' limit of a name."""
MAX_IMAGE = 512
"""Characters of an image's name."""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """One event that Kubernetes tells about the Deployment, a ReplicaSet or a Pod."""

    object: str
    """What it is about: "Pod web-5d4f", "ReplicaSet web-5d4f"."""
    type: str
    """ "Normal" or "Warning"."""
    reason: str
    message: str
    count: int
    """How often, at least 1."""
    last: int
    """When it was last seen: seconds since 1970."""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """How one container of a Service is."""

    service_uid: str
    config: str
    """Name of the dynamic config; "" for the Service's own."""
    address: str = ""
    """Cluster IP at which its Service is reached; "" while there is none."""
    port: int = 0
    ready: bool = False
    """Whether an available Pod stands behind the address."""
    desired: int = 0
    """Replicas asked for."""
    replicas: int = 0
    """Replicas that there are."""
    ready_replicas: int = 0
    updated: int = 0
    """Replicas that are of the present specification."""
    image: str = ""
    restarts: int = 0
    """Restarts of all present Pods together."""
    reason: str = ""
    """One word for programs: "CrashLoopBackOff", "Refused", "Starting", …; "" if all is well."""
    message: str = ""
    """The same for people; "" if all is well."""
    events: tuple[ContainerEvent, ...] = ()
    """The last events, newest first."""

    @property
    def key(self) -> tuple[str, str]:
        """Service uid and config."""
        return self.service_uid, self.config
