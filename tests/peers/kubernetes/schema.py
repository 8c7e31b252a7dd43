"""The types of Kubernetes objects, as server-side apply and validation see them.

They come from the JSON schemas of `kubernetes_validate`, which keep the OpenAPI extensions
`x-kubernetes-list-type`, `-list-map-keys`, `-map-type` and `-patch-*` (Kubernetes documentation,
"Server-Side Apply", "Merge strategy").
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

VERSION = "1.34"
"""Of Kubernetes."""

Shape = Literal["scalar", "struct", "map", "list"]
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_KEY_DEFAULTS = {"protocol": "TCP"}


@dataclass(slots=True)
class Type:
    """A type. `fields` are looked up when they are asked for: types contain themselves."""

    shape: Shape
    name: str = ""
    scalar: str = ""
    atomic: bool = False
    keys: tuple[str, ...] = ()
    is_set: bool = False
    merge_key: str = ""
    strategy: frozenset[str] = frozenset()
    raw: dict[str, Any] = field(default_factory=dict)

    def child(self, name: str) -> Type | None:
        """The type of a field; that of all values in a map."""
        if self.shape == "map":
            return _of(self.raw["additionalProperties"])
        found = self.raw.get("properties", {}).get(name)
        return None if found is None else _of(found)

    @property
    def item(self) -> Type:
        """The type of a list's items."""
        return _of(self.raw["items"])

    @property
    def required(self) -> tuple[str, ...]:
        """Fields that have to be there."""
        return tuple(self.raw.get("required", ()))

    def key_of(self, item: Any) -> tuple[tuple[str, Any], ...] | str:
        """What tells the items of a list apart: the values of its keys, or for a set the value."""
        if self.is_set:
            return json.dumps(item)
        return tuple(
            (key, item.get(key, _KEY_DEFAULTS.get(key)))
            for key in sorted(self.keys)
            if key in item or key in _KEY_DEFAULTS
        )


@cache
def definitions() -> dict[str, Any]:
    """All definitions of the version, by name."""
    folder = files("kubernetes_validate").joinpath("kubernetes-json-schema")
    text = folder.joinpath(f"v{VERSION}.0-local-strict", "_definitions.json").read_text()
    found: dict[str, Any] = json.loads(text)["$defs"]
    return found


@cache
def type_of(group: str, version: str, kind: str) -> Type:
    """The type of a kind of objects. Raises KeyError if there is none."""
    return defined(_names()[group, version, kind])


@cache
def _names() -> dict[tuple[str, str, str], str]:
    return {
        (one["group"], one["version"], one["kind"]): name
        for name, definition in definitions().items()
        for one in definition.get("x-kubernetes-group-version-kind", ())
    }


@cache
def defined(name: str) -> Type:
    """A type by the name of its definition."""
    return _shape(definitions()[name], name)


def _of(raw: dict[str, Any]) -> Type:
    reference = raw.get("$ref")
    if reference is None:
        return _cached(id(raw), _Box(raw))
    target = defined(reference.removeprefix("#/$defs/"))
    if raw.get("x-kubernetes-map-type") == "atomic" or "x-kubernetes-patch-strategy" in raw:
        return _marked(id(raw), _Box(raw), target.name)
    return target


class _Box:
    """Lets a dictionary pass through a cache that goes by identity."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def __hash__(self) -> int:
        return id(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Box) and other.raw is self.raw


@cache
def _cached(_identity: int, box: _Box) -> Type:
    return _shape(box.raw, "")


@cache
def _marked(_identity: int, box: _Box, name: str) -> Type:
    marked = _shape(definitions()[name], name)
    marked.atomic = marked.atomic or box.raw.get("x-kubernetes-map-type") == "atomic"
    marked.strategy = _strategies(box.raw)
    return marked


def _strategies(raw: dict[str, Any]) -> frozenset[str]:
    said = raw.get("x-kubernetes-patch-strategy", "")
    return frozenset(said.split(",")) if said else frozenset()


def _shape(raw: dict[str, Any], name: str) -> Type:
    kinds = raw.get("type", "object" if "properties" in raw else "any")
    kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
    atomic = raw.get("x-kubernetes-map-type") == "atomic"
    if kind == "array":
        how = raw.get("x-kubernetes-list-type", "atomic")
        return Type(
            "list",
            name,
            atomic=how == "atomic",
            keys=tuple(raw.get("x-kubernetes-list-map-keys", ())),
            is_set=how == "set",
            merge_key=raw.get("x-kubernetes-patch-merge-key", ""),
            strategy=_strategies(raw),
            raw=raw,
        )
    if kind == "object" and "properties" in raw:
        return Type("struct", name, atomic=atomic, strategy=_strategies(raw), raw=raw)
    if kind == "object" and isinstance(raw.get("additionalProperties"), dict):
        return Type("map", name, atomic=atomic, strategy=_strategies(raw), raw=raw)
    if kind == "object" and name.rpartition(".")[2] not in ("FieldsV1", "RawExtension"):
        return Type("struct", name, atomic=atomic, raw=raw)
    if name == _QUANTITY:
        return Type("scalar", name, scalar="quantity", raw=raw)
    if name.endswith(".IntOrString"):
        return Type("scalar", name, scalar="int-or-string", raw=raw)
    return Type("scalar", name, scalar=raw.get("format") or kind, raw=raw)
