"""The Pod Security Standards `baseline` and `restricted`, enforced by labels of namespaces.

Kubernetes documentation, "Pod Security Standards" and "Pod Security Admission".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import forbidden
from tests.peers.kubernetes.resources import of_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.kubernetes.store import Store

Object = dict[str, Any]
LABEL = "pod-security.kubernetes.io/enforce"
_BASELINE_CAPABILITIES = frozenset(
    [
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
    ]
)
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)


def enforce(store: Store, pod: Object) -> None:
    """Raise `Failure` 403 for a Pod that its namespace does not take."""
    namespace = store.get(of_kind("Namespace"), "", pod["metadata"].get("namespace", ""))
    level = ((namespace or {}).get("metadata", {}).get("labels") or {}).get(LABEL, "privileged")
    broken = violations(pod["spec"], level)
    if broken:
        why = f'violates PodSecurity "{level}:latest": {", ".join(broken)}'
        raise forbidden(of_kind("Pod"), pod["metadata"].get("name", ""), why)


def violations(spec: Object, level: str) -> list[str]:
    """What a Pod breaks of a level."""
    if level not in ("baseline", "restricted"):
        return []
    return [*_baseline(spec, level), *(_restricted(spec) if level == "restricted" else ())]


def _containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def _named(names: list[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"container {quoted}" if len(names) == 1 else f"containers {quoted}"


def _baseline(spec: Object, level: str) -> Iterator[str]:
    if level == "baseline":
        bad: list[str] = []
        added: list[str] = []
        for one in _containers(spec):
            extra = [
                name
                for name in one.get("securityContext", {}).get("capabilities", {}).get("add", ())
                if name not in _BASELINE_CAPABILITIES
            ]
            if extra:
                bad.append(one["name"])
                added += extra
        if bad:
            quoted = ", ".join(f'"{name}"' for name in sorted(set(added)))
            yield (
                f"non-default capabilities ({_named(bad)} must not include {quoted} in"
                " securityContext.capabilities.add)"
            )
    spaces = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if spaces:
        yield f"host namespaces ({', '.join(spaces)})"
    paths = [one["name"] for one in spec.get("volumes", ()) if "hostPath" in one]
    if paths and level == "baseline":
        quoted = ", ".join(f'"{name}"' for name in paths)
        yield f"hostPath volumes (volume{'s' if len(paths) > 1 else ''} {quoted})"
    open_ports = {
        one["name"]: [str(p["hostPort"]) for p in one.get("ports", ()) if p.get("hostPort")]
        for one in _containers(spec)
    }
    using = [name for name, numbers in open_ports.items() if numbers]
    if using:
        numbers = sorted({number for name in using for number in open_ports[name]})
        verb = "uses" if len(using) == 1 else "use"
        word = "hostPort" if len(numbers) == 1 else "hostPorts"
        yield f"hostPort ({_named(using)} {verb} {word} {', '.join(numbers)})"
    privileged = [
        one["name"] for one in _containers(spec) if one.get("securityContext", {}).get("privileged")
    ]
    if privileged:
        yield f"privileged ({_named(privileged)} must not set securityContext.privileged=true)"
    sysctls = [
        one["name"]
        for one in spec.get("securityContext", {}).get("sysctls", ())
        if one["name"] not in _SYSCTLS
    ]
    if sysctls:
        yield f"forbidden sysctls ({', '.join(sysctls)})"


def _restricted(spec: Object) -> Iterator[str]:
    pod = spec.get("securityContext", {})
    containers = [(one["name"], one.get("securityContext", {})) for one in _containers(spec)]
    escalating = [n for n, c in containers if c.get("allowPrivilegeEscalation") is not False]
    if escalating:
        yield (
            f"allowPrivilegeEscalation != false ({_named(escalating)} must set"
            " securityContext.allowPrivilegeEscalation=false)"
        )
    said = []
    capable = [n for n, c in containers if "ALL" not in c.get("capabilities", {}).get("drop", ())]
    if capable:
        said.append(f'{_named(capable)} must set securityContext.capabilities.drop=["ALL"]')
    adding, added = _adding(containers)
    if adding:
        quoted = ", ".join(f'"{name}"' for name in added)
        said.append(
            f"{_named(adding)} must not include {quoted} in securityContext.capabilities.add"
        )
    if said:
        yield f"unrestricted capabilities ({'; '.join(said)})"
    volumes = [
        f'volume "{one["name"]}" uses restricted volume type "{sort}"'
        for one in spec.get("volumes", ())
        for sort in sorted(set(one) - {"name"} - _VOLUMES)
    ]
    if volumes:
        yield f"restricted volume types ({', '.join(volumes)})"
    rootful = [
        n for n, c in containers
        if not c.get("runAsNonRoot", pod.get("runAsNonRoot") if "runAsNonRoot" not in c else False)
    ]  # fmt: skip
    if rootful:
        yield (
            f"runAsNonRoot != true (pod or {_named(rootful)} must set"
            " securityContext.runAsNonRoot=true)"
        )
    zero = [n for n, c in containers if c.get("runAsUser", pod.get("runAsUser")) == 0]
    if zero:
        yield f"runAsUser=0 ({_named(zero)} must not set runAsUser=0)"
    loose = [
        n for n, c in containers
        if c.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
        not in ("RuntimeDefault", "Localhost")
    ]  # fmt: skip
    if loose:
        yield (
            f"seccompProfile (pod or {_named(loose)} must set securityContext.seccompProfile.type"
            ' to "RuntimeDefault" or "Localhost")'
        )


def _adding(containers: list[tuple[str, Object]]) -> tuple[list[str], list[str]]:
    """Which containers add capabilities that `restricted` does not have, and which."""
    names, added = [], set()
    for name, context in containers:
        extra = set(context.get("capabilities", {}).get("add", ())) - {"NET_BIND_SERVICE"}
        if extra:
            names.append(name)
            added |= extra
    return names, sorted(added)
