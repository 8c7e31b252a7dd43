"""Sets of fields of an object, and their form in `managedFields` (FieldsV1).

A path is a tuple of elements as FieldsV1 writes them: `f:<name>` for a field, `k:<keys>` for an
item of a list with keys, `v:<value>` for a member of a set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.peers.kubernetes.schema import Type

Path = tuple[str, ...]
Paths = frozenset[Path]


def element(kind: Type, item: Any) -> str:
    """The path element of an item of a list of the type."""
    key = kind.key_of(item)
    if isinstance(key, str):
        return f"v:{key}"
    return "k:" + json.dumps(dict(key), separators=(",", ":"))


def to_fields(paths: Iterable[Path]) -> dict[str, Any]:
    """As FieldsV1."""
    root: dict[str, Any] = {}
    members = set(paths)
    for path in sorted(members):
        at = root
        for number, name in enumerate(path):
            if name not in at:
                at[name] = {}
            if number < len(path) - 1 and path[: number + 1] in members:
                at[name].setdefault(".", {})
            at = at[name]
    return root


def from_fields(fields: dict[str, Any]) -> Paths:
    """Of FieldsV1."""
    found: set[Path] = set()

    def walk(at: dict[str, Any], path: Path) -> None:
        for name, below in at.items():
            if name == ".":
                found.add(path)
            elif below:
                walk(below, (*path, name))
            else:
                found.add((*path, name))

    walk(fields, ())
    return frozenset(found)


def said(path: Path) -> str:
    """As messages write a path: `.spec.containers[name="c"].image`."""
    text = ""
    for name in path:
        sort, rest = name[0], name[2:]
        if sort == "f":
            text += f".{rest}"
        elif sort == "k":
            keys = json.loads(rest).items()
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys) + "]"
        else:
            text += f"[={rest}]"
    return text


def with_parents(paths: Iterable[Path], kind: Type) -> Paths:
    """The paths and those named fields of structures that they go through."""
    found: set[Path] = set()
    for path in paths:
        found.add(path)
        at: Type | None = kind
        for number, name in enumerate(path[:-1]):
            if at is None:
                break
            if name.startswith("f:"):
                if at.shape == "struct":
                    found.add(path[: number + 1])
                at = at.child(name[2:]) if at.shape in ("struct", "map") else None
            else:
                at = at.item if at.shape == "list" else None
    return frozenset(found)


def without(paths: Iterable[Path], prefixes: Iterable[Path]) -> Paths:
    """The paths that are neither one of the prefixes nor below one."""
    gone = tuple(prefixes)
    return frozenset(path for path in paths if not any(path[: len(one)] == one for one in gone))
