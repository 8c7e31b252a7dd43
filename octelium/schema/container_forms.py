"""What somebody means who writes a container as Compose files or Pods of Kubernetes have it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor

_CONTAINER: Final = "ServiceSpecConfigUpstreamContainer"
_VARIABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_CORES: Final = re.compile(r"([0-9]{1,6})(m?)")
_MEMORY: Final = re.compile(r"([0-9]{1,6})(Mi|M|Gi|G)")
_LONGEST: Final = 60


def of_text(descriptor: Descriptor, value: Any) -> str:
    """How a text in the place of an object of a container is written; empty if nobody knows."""
    known = _TEXTS.get(descriptor.name.removeprefix(_CONTAINER))
    if known is None or not descriptor.name.startswith(_CONTAINER):
        return ""
    return known(str(value)[:_LONGEST]) if isinstance(value, str | int) else ""


def of_key(descriptor: Descriptor, key: str) -> str:
    """What stands in the place of a field that Kubernetes has; empty if nobody knows."""
    if not descriptor.name.startswith(_CONTAINER):
        return ""
    return _KEYS.get((descriptor.name.removeprefix(_CONTAINER), key), "")


def _variable(text: str) -> str:
    found = _VARIABLE.fullmatch(text)
    name, value = (found[1], found[2]) if found else ("NAME", "VALUE")
    return f"write {{name: {name}, value: {value!r}}}"


def _cores(text: str) -> str:
    found = _CORES.fullmatch(text)
    amount = 500 if found is None else int(found[1]) * (1 if found[2] else 1000)
    return f"write {{millicores: {amount}}}"


def _memory(text: str) -> str:
    found = _MEMORY.fullmatch(text)
    amount = 128 if found is None else int(found[1]) * (1024 if found[2] in ("Gi", "G") else 1)
    return f"write {{megabytes: {amount}}}"


def _claim(text: str) -> str:
    return f"write {{name: {text}}}"


_TEXTS: Final[dict[str, Callable[[str], str]]] = {
    "Env": _variable,
    "ResourceLimitCpu": _cores,
    "ResourceLimitMemory": _memory,
    "VolumePersistentVolumeClaim": _claim,
}
_KEYS: Final = {
    ("Env", "valueFrom"): "write fromSecret: NAME, or kubernetesSecretRef: {name: NAME, key: KEY}",
    ("", "ports"): "write port: NUMBER, the one where requests go",
    ("", "resources"): "write resourceLimit: {cpu: {millicores: 500}, memory: {megabytes: 128}}",
    ("VolumePersistentVolumeClaim", "claimName"): "write name: NAME",
}
