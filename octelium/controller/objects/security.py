"""What a container may do on its node: the security contexts of its Pod and of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from octelium.controller.objects.outcome import Manifest
    from octelium.schema.pb import core_v1_pb2 as core

_DROPPED: Final = ("MKNOD", "NET_RAW")


def pod_security() -> Manifest:
    """The runtime's own seccomp profile, and every port open to every user of the container.

    The setting is one of the few that the Pod Security Standard `baseline` knows as safe: a process
    without NET_BIND_SERVICE may listen at port 80 of the Pod's own network namespace.
    """
    return {
        "seccompProfile": {"type": "RuntimeDefault"},
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
    }


def container_security(container: core.ServiceSpecConfigUpstreamContainer) -> Manifest:
    """Never privileged, never more rights than at the start; capabilities as they are given.

    Those that a runtime gives are mostly kept: usual images (nginx, postgres, redis) begin as root,
    take over their directories (CHOWN, DAC_OVERRIDE, FOWNER) and go on as another user (SETUID,
    SETGID), so that dropping all would keep them from starting. NET_RAW, by which packets can be
    forged on the network that Pods share, and MKNOD are dropped. `drop: [ALL]` drops the others.
    """
    given = container.security_context
    added = list(dict.fromkeys(given.capabilities.add))
    dropped = list(dict.fromkeys(given.capabilities.drop))
    if "ALL" in dropped:
        dropped = ["ALL"]
    else:
        dropped += [name for name in _DROPPED if name not in (*added, *dropped)]
    capabilities: Manifest = {"drop": dropped}
    if added:
        capabilities["add"] = added
    context: Manifest = {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": given.read_only_root_filesystem,
        "capabilities": capabilities,
    }
    if given.run_as_user:
        context["runAsUser"] = given.run_as_user
    return context
