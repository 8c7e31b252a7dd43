"""From a Pod's specification to what a kubelet hands to the container runtime.

What it does not know it refuses, so that no field passes for tested. See "Configure a Security
Context for a Pod or Container" and "Pod Security Standards" in the documentation of Kubernetes.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from tests.peers.containers import Mount, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.peers.containers import Image

Manifest = dict[str, Any]

_GIVEN = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""Capabilities that container runtimes give if nothing is said."""
_SUFFIXES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "k": 10**3, "M": 10**6, "G": 10**9}
_KNOWN = {
    "args", "command", "env", "image", "imagePullPolicy", "livenessProbe", "name", "ports",
    "readinessProbe", "resources", "securityContext", "startupProbe", "volumeMounts", "workingDir",
    "terminationMessagePath", "terminationMessagePolicy",
}  # fmt: skip
_KNOWN_SECURITY = {
    "allowPrivilegeEscalation", "capabilities", "privileged", "readOnlyRootFilesystem",
    "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile",
}  # fmt: skip


def spec_of(
    pod: Manifest,
    name: str,
    image: Image,
    *,
    volumes: Mapping[str, Path] | None = None,
    secrets: Mapping[str, Mapping[str, bytes]] | None = None,
    fields: Mapping[str, str] | None = None,
    node: Mapping[str, str] | None = None,
) -> Spec:
    """What container `name` of a Pod's `spec` runs as.

    `volumes`: folders that stand for volumes by name; an emptyDir without one is in memory.
    `secrets`: contents by name and key. `fields`: values of the downward API, by path. `node`:
    variables that the kubelet gives every container. Raises ValueError for what a kubelet would
    refuse, NotImplementedError for what is not known here.
    """
    (container,) = (each for each in pod["containers"] if each["name"] == name)
    if beyond := set(container) - _KNOWN:
        raise NotImplementedError(f"container {name}: {sorted(beyond)}")
    security = {**_inherited(pod), **container.get("securityContext", {})}
    if beyond := set(security) - _KNOWN_SECURITY:
        raise NotImplementedError(f"securityContext of {name}: {sorted(beyond)}")
    if security.get("privileged"):
        raise NotImplementedError("a privileged container")
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        raise NotImplementedError("a container without the seccomp profile RuntimeDefault")
    own = image.config["config"]
    user, _, group = str(own.get("User") or "0").partition(":")
    number = int(security.get("runAsUser", user))
    if security.get("runAsNonRoot") and number == 0:
        raise ValueError(f"container {name} would run as root")
    environment = dict(entry.split("=", 1) for entry in own.get("Env", ()))
    environment["HOSTNAME"] = pod.get("hostname", "pod")
    environment.update(node or {})
    environment.update(_environment(container, secrets or {}, fields or {}))
    start = container.get("command") or own.get("Entrypoint") or []
    default = () if container.get("command") else own.get("Cmd") or ()
    pod_wide = pod.get("securityContext", {})
    return Spec(
        args=[_expanded(word, environment) for word in (*start, *container.get("args", default))],
        environment=environment,
        mounts=_mounts(pod, container, volumes or {}),
        user=number,
        group=int(security.get("runAsGroup", group or number)),
        groups=[*pod_wide.get("supplementalGroups", ()), *_group(pod_wide)],
        read_only=bool(security.get("readOnlyRootFilesystem")),
        directory=container.get("workingDir") or own.get("WorkingDir") or "/",
        memory=_bytes(container.get("resources", {}).get("limits", {}).get("memory", "0")),
        hostname=environment["HOSTNAME"],
        capabilities=_capabilities(security.get("capabilities", {})),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        sysctls={each["name"]: each["value"] for each in pod_wide.get("sysctls", ())},
    )


def volume(folder: Path, pod: Manifest, mode: int = 0o2775) -> Path:
    """A new folder as volumes are: root's, and of the Pod's `fsGroup`."""
    folder.mkdir()
    os.chown(folder, 0, int(pod["securityContext"]["fsGroup"]))
    folder.chmod(mode)
    return folder


def _inherited(pod: Manifest) -> Manifest:
    """What a container has of its Pod's security context if it says nothing."""
    names = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")
    given = pod.get("securityContext", {})
    return {name: given[name] for name in names if name in given}


def _group(pod_wide: Manifest) -> list[int]:
    return [pod_wide["fsGroup"]] if "fsGroup" in pod_wide else []


def _capabilities(asked: Manifest) -> list[str]:
    dropped = set(asked.get("drop", ()))
    kept = [] if "ALL" in dropped else [each for each in _GIVEN if each not in dropped]
    return [f"CAP_{each}" for each in dict.fromkeys([*kept, *asked.get("add", ())])]


def _environment(
    container: Manifest,
    secrets: Mapping[str, Mapping[str, bytes]],
    fields: Mapping[str, str],
) -> dict[str, str]:
    made: dict[str, str] = {}
    for entry in container.get("env", ()):
        source = entry.get("valueFrom")
        if source is None:
            made[entry["name"]] = entry.get("value", "")
        elif "secretKeyRef" in source:
            reference = source["secretKeyRef"]
            content = secrets.get(reference["name"], {}).get(reference["key"])
            if content is not None:
                made[entry["name"]] = content.decode()
            elif not reference.get("optional"):
                raise ValueError(f"there is no Secret for {reference}")
        elif "fieldRef" in source:
            made[entry["name"]] = fields[source["fieldRef"]["fieldPath"]]
        else:
            raise NotImplementedError(f"valueFrom {source}")
    return made


def _expanded(word: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` is the variable's value, if there is one."""
    return re.sub(r"\$\((\w+)\)", lambda match: environment.get(match[1], match[0]), word)


def _mounts(pod: Manifest, container: Manifest, folders: Mapping[str, Path]) -> list[Mount]:
    volumes = {given["name"]: given for given in pod.get("volumes", ())}
    made = []
    for mount in container.get("volumeMounts", ()):
        if beyond := set(mount) - {"name", "mountPath", "readOnly"}:
            raise NotImplementedError(f"volumeMounts: {sorted(beyond)}")
        given, folder = volumes.get(mount["name"]), folders.get(mount["name"])
        if folder is None and (given is None or "emptyDir" not in given):
            raise ValueError(f"there is no volume {mount['name']}")
        made.append(Mount(mount["mountPath"], folder, bool(mount.get("readOnly"))))
    return made


def _bytes(quantity: str) -> int:
    for suffix, factor in _SUFFIXES.items():
        if quantity.endswith(suffix):
            return int(quantity.removesuffix(suffix)) * factor
    return int(quantity)
