"""Resources as far as conditions look at them.

A Session with its history is large, and a policy reads one or two of its fields. So `ctx` gets no
more of a resource than the paths that its conditions read; the rest is not even converted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from octelium.policy.cel.values import normalized
from octelium.schema import fields
from octelium.schema.json_writer import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.policy.cel.reads import Path

Tree = dict[str, "Tree"]
"""What is read, by name; an empty tree stands for everything."""

ALL: Final[Tree] = {}


@lru_cache(maxsize=1024)
def tree_of(paths: frozenset[Path]) -> Tree | None:
    """The tree of a set of paths; None for no paths, as nothing is read. Not to be changed."""
    if not paths:
        return None
    root: Tree = {}
    for path in sorted(paths, key=len):
        if not path:
            return ALL
        _grow(root, path)
    return root


def _grow(tree: Tree, path: Path) -> None:
    """Add a path that is no shorter than those before it."""
    for depth, name in enumerate(path):
        following = tree.get(name)
        if following is None:
            for rest in path[depth:]:
                tree[rest] = tree = {}
            return
        if following is ALL or not following:
            return
        tree = following


def project(message: Any, tree: Mapping[str, Tree]) -> dict[str, Any]:
    """The JSON form of a message as far as `tree` leads, with doubles for numbers."""
    known = _fields_of(message.DESCRIPTOR)
    out: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, convert, leads_on = known[field.name]
        below = tree.get(name) if tree else ALL
        if below is None:
            continue
        if below and leads_on:
            out[name] = project(value, below)
        elif convert is None:
            out[name] = value if type(value) is str else normalized(value)
        else:
            out[name] = normalized(convert(value))
    return out


@lru_cache(maxsize=1024)
def _fields_of(
    descriptor: Descriptor,
) -> dict[str, tuple[str, Callable[[Any], Any] | None, bool]]:
    """By field: its JSON name, how its value is converted, whether paths lead on below it."""
    plan = plan_of(descriptor)
    return {field.name: (*plan[field.name], _leads_on(field)) for field in descriptor.fields}


def _leads_on(field: FieldDescriptor) -> bool:
    return (
        field.type == FieldDescriptor.TYPE_MESSAGE
        and not field.is_repeated
        and fields.message_type(field).full_name not in (fields.TIMESTAMP, fields.STRUCT)
    )
