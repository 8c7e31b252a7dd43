"""What every room knows of managed containers: which there are, names, limits and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.schema.pb import core_v1_pb2 as core

UPSTREAMS: Final = "octelium-upstreams"
"""The namespace of Kubernetes in which they are, if nothing else is said."""

OBJECT_PREFIX: Final = "upstream-svc-"
"""Begins the names of all objects of Kubernetes that the controller makes.

No container may refer to a Kubernetes Secret of such a name: it holds what another Service was
given.
"""

STARTING: Final = "Starting"
"""Reason of a container that is on its way."""
BEGINNING: Final = frozenset({"", STARTING})
"""Reasons that are no fault: nothing is told yet, or it is on its way."""
NO_CONTROLLER: Final = "NoController"
"""Reason of one that waits for a controller which is not connected."""
UNHEALTHY: Final = "Unhealthy"
"""Reason of one that runs and does not answer its readiness probe."""

MAX_OF_SERVICE: Final = 32
"""Containers that one Service may have, its dynamic configs together."""
MAX_CONTAINERS: Final = 250
"""Containers that a Cluster keeps at a time."""

BASELINE_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""What a container may add: "Capabilities" of the Pod Security Standard `baseline`."""

CAPABILITIES: Final = BASELINE_CAPABILITIES | frozenset(
    {
        "AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE",
        "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN",
        "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "NET_RAW", "PERFMON", "SYSLOG", "SYS_ADMIN",
        "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
    }
)  # fmt: skip
"""All that there are: capabilities(7), without the prefix."""


def containers_of(
    spec: core.ServiceSpec,
) -> Iterator[tuple[str, core.ServiceSpecConfigUpstreamContainer]]:
    """Each container of a Service with the name of its config, which is empty for `spec.config`."""
    if spec.config.upstream.HasField("container"):
        yield "", spec.config.upstream.container
    for config in spec.dynamic_config.configs:
        if config.upstream.HasField("container"):
            yield config.name, config.upstream.container


def container_secrets(container: core.ServiceSpecConfigUpstreamContainer) -> tuple[str, ...]:
    """The names of the Secrets of the Cluster that a container refers to, each once."""
    names = [env.from_secret for env in container.env if env.WhichOneof("type") == "from_secret"]
    password = container.credentials.username_password.password
    if password.WhichOneof("type") == "from_secret":
        names.append(password.from_secret)
    return tuple(dict.fromkeys(names))


def refused_capabilities(added: list[str]) -> list[str]:
    """Those that the Pod Security Standard `baseline` does not let a container add, each once."""
    return sorted(set(added) - BASELINE_CAPABILITIES)
