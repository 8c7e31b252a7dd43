"""What every room knows of managed containers: names and capabilities that are refused, reasons."""

from __future__ import annotations

from typing import Final

OBJECT_PREFIX: Final = "upstream-svc-"
"""Begins the names of all objects of Kubernetes that the controller makes.

No container may refer to a Kubernetes Secret of such a name: it holds what another Service was
given.
"""

STARTING: Final = "Starting"
"""Reason of a container that is on its way."""
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


def refused_capabilities(added: list[str]) -> list[str]:
    """Those that the Pod Security Standard `baseline` does not let a container add, each once."""
    return sorted(set(added) - BASELINE_CAPABILITIES)
