"""The Pod Security Standard `baseline`, as Kubernetes documents it for version 1.34."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CAPABILITIES: Final = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
        *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
    }
)
"""Those of version 1.0 of the standard: later ones allow more."""
_SELINUX: Final = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
_PROFILES: Final = frozenset({None, "RuntimeDefault", "Localhost"})


def violations(pod: dict[str, Any], annotations: dict[str, str]) -> list[str]:
    """The rules that a Pod's spec and annotations break."""
    return [*_of_pod(pod, annotations), *(f for one in _containers(pod) for f in _of(one))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [one for kind in kinds for one in pod.get(kind, [])]


def _of_pod(pod: dict[str, Any], annotations: dict[str, str]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"hostPath {volume['name']}"
    for sysctl in pod.get("securityContext", {}).get("sysctls", []):
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    for name in annotations:
        if "apparmor.security" in name or "seccomp.security" in name:
            yield f"annotation {name}"
    yield from _profiles(pod.get("securityContext", {}))


def _of(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("privileged"):
        yield "privileged"
    for name in context.get("capabilities", {}).get("add", []):
        if name not in _CAPABILITIES:
            yield f"capability {name}"
    if context.get("procMount") not in {None, "Default"}:
        yield "procMount"
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield "hostPort"
    handlers = [
        container.get(f"{kind}Probe") or {} for kind in ("liveness", "readiness", "startup")
    ]
    handlers += (container.get("lifecycle") or {}).values()
    for handler in handlers:
        if any(handler.get(form, {}).get("host") for form in ("httpGet", "tcpSocket")):
            yield "host of a probe"
    yield from _profiles(context)


def _profiles(context: dict[str, Any]) -> Iterator[str]:
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"
    for field in ("seccompProfile", "appArmorProfile"):
        if context.get(field, {}).get("type") not in _PROFILES:
            yield field
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
