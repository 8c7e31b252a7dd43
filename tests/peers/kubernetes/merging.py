"""Objects as sets of fields: what they hold, how two differ, how one is merged into another.

The rules are those of "Server-Side Apply" in the Kubernetes documentation, for the lists and maps
that the schema marks as granular, keyed or atomic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.paths import element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.kubernetes.paths import Path, Paths
    from tests.peers.kubernetes.schema import Type

_NONE: Any = object()


class MistypedError(Exception):
    """A field that the schema does not have, or a list with the same key twice."""


@dataclass(slots=True)
class Difference:
    """The fields by which one object differs from another."""

    added: set[Path]
    modified: set[Path]
    removed: set[Path]


def _children(kind: Type, value: Any, path: Path) -> Iterator[tuple[str, Type, Any]]:
    """What a granular value is made of: path element, type, value."""
    if kind.shape == "list":
        for item in value or ():
            yield element(kind, item), kind.item, item
        return
    for name, inner in (value or {}).items():
        child = kind.child(name)
        if child is None:
            raise MistypedError(f"{_said((*path, f'f:{name}'))}: field not declared in schema")
        yield f"f:{name}", child, inner


def _said(path: Path) -> str:
    from tests.peers.kubernetes.paths import said

    return said(path)


def fields(kind: Type, value: Any) -> Paths:
    """The fields that an object sets."""
    found: set[Path] = set()
    _collect(kind, value, (), found)
    return frozenset(found)


def _expect(kind: Type, value: Any, path: Path) -> None:
    """Raise `MistypedError` for a value of another type."""
    wanted: tuple[type, ...] | None = {
        "struct": (dict,),
        "map": (dict,),
        "list": (list,),
    }.get(kind.shape)
    text = {"list": "list"}.get(kind.shape, "map")
    if wanted is None and kind.scalar in ("int32", "int64", "integer"):
        wanted, text = (int, float), "numeric (int or float)"
    elif wanted is None and kind.scalar == "boolean":
        wanted, text = (bool,), "boolean"
    elif wanted is None and kind.scalar in ("string", "byte"):
        wanted, text = (str,), "string"
    if wanted is None or value is None:
        return
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        names = {str: "string", bool: "bool", dict: "map", list: "list"}
        got = names.get(type(value), "number")
        raise MistypedError(f"{_said(path)}: expected {text}, got {got}")


def _collect(kind: Type, value: Any, path: Path, found: set[Path]) -> None:
    _expect(kind, value, path)
    if kind.shape == "scalar" or kind.atomic:
        found.add(path)
        return
    seen = set()
    for name, child, inner in _children(kind, value, path):
        if name in seen:
            raise MistypedError(f"{_said(path)}: duplicate entries for key {_said((name,))}")
        seen.add(name)
        below = (*path, name)
        _collect(child, inner, below, found)
        if kind.shape in ("list", "map") or inner is None or inner == {}:
            found.add(below)


def difference(kind: Type, old: Any, new: Any) -> Difference:
    """From `old` to `new`."""
    made = Difference(set(), set(), set())
    _compare(kind, old, new, (), made)
    return made


def _compare(kind: Type, old: Any, new: Any, path: Path, made: Difference) -> None:
    leaf = kind.shape == "scalar" or kind.atomic
    empty = (old is _NONE or not old) and (new is _NONE or not new)
    if leaf or empty:
        if old is _NONE:
            made.added.add(path)
        elif new is _NONE:
            made.removed.add(path)
        elif old != new:
            made.modified.add(path)
        return
    before = _indexed(kind, old, path)
    after = _indexed(kind, new, path)
    for name in {**before, **after}:
        child = (before.get(name) or after[name])[0]
        was = before[name][1] if name in before else _NONE
        now = after[name][1] if name in after else _NONE
        _compare(child, was, now, (*path, name), made)
    if path and old is _NONE:
        made.added.add(path)
    elif path and new is _NONE:
        made.removed.add(path)


def _indexed(kind: Type, value: Any, path: Path) -> dict[str, tuple[Type, Any]]:
    if value is _NONE or value is None:
        return {}
    return {name: (child, inner) for name, child, inner in _children(kind, value, path)}


def merged(kind: Type, old: Any, new: Any) -> Any:
    """`old` with the fields of `new`."""
    if new is _NONE:
        return old
    if old is _NONE or old is None or kind.shape == "scalar" or kind.atomic or new is None:
        return new
    if kind.shape == "list":
        return _merged_list(kind, old, new)
    made = dict(old)
    for name, inner in new.items():
        child = kind.child(name)
        if child is None:
            raise MistypedError(f".{name}: field not declared in schema")
        made[name] = merged(child, old.get(name, _NONE), inner)
    return made


def _merged_list(kind: Type, old: list[Any], new: list[Any]) -> list[Any]:
    """Items keep the order of `new`; those that only `old` has come as early as they can."""
    before = {element(kind, item): item for item in old}
    after = {element(kind, item): item for item in new}
    left, right = list(before), list(after)
    shared = [name for name in right if name in before]
    done: set[str] = set()
    made: list[Any] = []

    def take(name: str) -> None:
        made.append(merged(kind.item, before.get(name, _NONE), after[name]))
        done.add(name)
        right.pop(0)
        if shared and shared[0] == name:
            shared.pop(0)

    while left or right:
        if left and right:
            if left[0] == right[0]:
                take(left.pop(0))
                continue
            if left[0] in after and shared and shared[0] != left[0]:
                left.pop(0)
                continue
        if left and left[0] not in after:
            made.append(before[left.pop(0)])
            continue
        if left and left[0] in done:
            left.pop(0)
        if right:
            take(right[0])
    return made


def pruned(kind: Type, value: Any, gone: Paths) -> Any:
    """The value without the fields in `gone`."""
    tops: dict[str, set[Path]] = {}
    for path in gone:
        tops.setdefault(path[0], set()).add(path[1:])
    if not tops or not value:
        return value
    if kind.shape == "scalar":
        return value
    if kind.atomic:
        return None
    if kind.shape == "list":
        items = []
        for item in value:
            below = tops.get(element(kind, item), set())
            if () in below:
                continue
            items.append(pruned(kind.item, item, frozenset(below)))
        return items or None
    made = {}
    for name, inner in value.items():
        below = tops.get(f"f:{name}", set())
        if () in below:
            continue
        child = kind.child(name)
        assert child is not None
        made[name] = pruned(child, inner, frozenset(below))  # None: there, but empty
    return made or None
