"""Whether an object at the server still is what was applied.

Only the fields that the controller sends are judged: they are those that it owns (Kubernetes,
"Server-Side Apply", "Field management"). What the server or somebody else adds beside them is not
its business. Lists are matched as the server merges them, by the keys of their elements; maps that
the server treats as one value must be equal.

Who reaches a container, and what it reaches, is judged whole: the rules of a NetworkPolicy and the
ports of a Service are exactly those that were sent. An addition to a Pod's template is let be: who
may write it may as well make a Pod of his own in the namespace.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""Lists whose elements have keys, by the field's name (the schema's x-kubernetes-list-map-keys)."""
_PORT_KEYS = (("containerPort", "protocol"), ("port", "protocol"))
"""Ports of a container, of a Service. Those of a NetworkPolicy are one value, in order."""
_ATOMIC = frozenset(
    {
        "selector",
        "matchLabels",
        "podSelector",
        "namespaceSelector",
        "nodeSelector",
        "secretKeyRef",
        "configMapKeyRef",
    }
)
"""Maps that the server treats as one value (x-kubernetes-map-type: atomic)."""
_WHOLE = {
    "NetworkPolicy": ("policyTypes", "ingress", "egress"),
    "Service": ("ports",),
}
"""Fields of specifications to which nothing may be added, by kind."""
_EMPTY: tuple[Any, ...] = (None, "", [])
_AMOUNTS = frozenset({"limits", "requests", "sizeLimit"})
"""Fields that hold quantities, which the server writes in a form of its own."""
_QUANTITY = re.compile(r"([+-]?[0-9]*\.?[0-9]*)(?:([eE][+-]?[0-9]{1,3})|([a-zA-Z]{0,2}))")
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{one: Decimal(1000) ** power for power, one in enumerate("kMGTPE", 1)},
    **{one + "i": Decimal(1024) ** power for power, one in enumerate("KMGTPE", 1)},
}


def drift(wanted: Object, found: Object) -> tuple[str, ...]:
    """The paths at which `found` is not what `wanted` says, as "spec.replicas".

    Empty if nothing needs to be written.
    """
    paths = tuple(_differences(wanted, found, "", "", amounts=False))
    return paths or additions(wanted, found)


def additions(wanted: Object, found: Object) -> tuple[str, ...]:
    """The paths at which others have added to what is judged whole."""
    names = _WHOLE.get(str(wanted.get("kind", "")), ())
    asked, given = wanted.get("spec") or {}, found.get("spec") or {}
    return tuple(
        f"spec.{name}"
        for name in names
        if name in asked and not _equal(asked[name], given.get(name))
    )


def owned_by(found: Object, manager: str) -> bool:
    """Whether the server knows `manager` as one who applied the object.

    Somebody may have cleared that; then fields that are no longer wanted would stay.
    """
    return any(
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
        for entry in (found.get("metadata") or {}).get("managedFields") or []
    )


def quantity(value: object) -> Decimal | None:
    """The number that a quantity of Kubernetes stands for; None if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str):
        return None
    match = _QUANTITY.fullmatch(value)
    if match is None or not any(char.isdigit() for char in match[1]):
        return None
    suffix = _SUFFIXES.get(match[3] or "")
    if suffix is None:
        return None
    return Decimal(match[1] + (match[2] or "")) * suffix


def _differences(wanted: Any, found: Any, path: str, name: str, *, amounts: bool) -> Iterator[str]:
    if found is None and (wanted is None or wanted in ("", [])):
        # The server leaves empty texts and lists out.
        return
    if isinstance(wanted, dict):
        if not isinstance(found, dict) or (name in _ATOMIC and set(wanted) != set(found)):
            yield path
            return
        for key, value in wanted.items():
            where = f"{path}.{key}" if path else key
            within = amounts or key in _AMOUNTS
            yield from _differences(value, found.get(key), where, key, amounts=within)
    elif isinstance(wanted, list):
        if not isinstance(found, list):
            yield path
            return
        yield from _list_differences(wanted, found, path, name)
    elif type(wanted) is not type(found) or wanted != found:
        number = quantity(wanted) if amounts else None
        if number is None or number != quantity(found):
            yield path


def _equal(wanted: Any, found: Any) -> bool:
    """Whether two values are the same, but for empty ones that the server leaves out."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = wanted.keys() | found.keys()
        return all(_equal(wanted.get(name), found.get(name)) for name in names)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_equal, wanted, found))
    return wanted == found or (wanted in _EMPTY and found in _EMPTY)


def _list_differences(wanted: list[Any], found: list[Any], path: str, name: str) -> Iterator[str]:
    keys = _keys(wanted, name, path)
    if not keys:
        if len(wanted) != len(found):
            yield path
            return
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]", "", amounts=False)
        return
    there = {_key(one, keys): one for one in found if isinstance(one, dict)}
    for one in wanted:
        key = _key(one, keys)
        where = f"{path}[{key[0]}]"
        if key not in there:
            yield where
        else:
            yield from _differences(one, there[key], where, "", amounts=False)


def _keys(wanted: list[Any], name: str, path: str) -> tuple[str, ...]:
    if not all(isinstance(one, dict) for one in wanted):
        return ()
    if name == "ports":
        if "gress[" in path:
            return ()
        return next((keys for keys in _PORT_KEYS if all(keys[0] in one for one in wanted)), ())
    return _KEYS.get(name, ())


def _key(value: Object, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(value.get(key, "TCP" if key == "protocol" else "")) for key in keys)
