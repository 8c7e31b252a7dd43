"""Parts of documents by their paths.

Paths are texts with `/` between their steps, with the escapes of RFC 6901, or arrays of steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import mapping, members
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Meter, Object, Set, charge, type_name

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_PATH_STEPS: Final = 64


def steps_of(path: Any) -> list[Any]:
    """The steps of a path."""
    if type(path) is str:
        charge(len(path) >> 5)
        parts = path.lstrip("/").split("/", _PATH_STEPS)
        steps: list[Any] = [part.replace("~1", "/").replace("~0", "~") for part in parts]
    elif type(path) is Array:
        steps = list(path)
    else:
        raise RegoError(f"a path must be a string or an array, not {type_name(path)}")
    if len(steps) > _PATH_STEPS:
        raise RegoError(f"a path has more than {_PATH_STEPS} steps")
    return steps


_Tree = dict[Any, Any]


def _tree(meter: Meter, paths: Any) -> _Tree:
    """The steps of all paths as a tree; an empty one stands for everything there."""
    root: _Tree = {}
    for path in members(paths, 2):
        steps = steps_of(path)
        meter.charge(len(steps))
        at = root
        for index, step in enumerate(steps):
            if index == len(steps) - 1:
                at[step] = None
            elif step in at and at[step] is None:
                break
            else:
                at = at.setdefault(step, {})
    return root


def _filter(meter: Meter, value: Any, paths: Any) -> Any:
    return _filtered(meter, mapping(value), _tree(meter, paths))


def _filtered(meter: Meter, value: Any, tree: _Tree | None) -> Any:
    if tree is None:
        return value
    if type(value) is Object:
        meter.charge(1 + len(value))
        return Object(
            {key: _filtered(meter, item, tree[key]) for key, item in value.items() if key in tree}
        )
    if type(value) is Array:
        meter.charge(1 + len(value))
        return Array(
            _filtered(meter, item, tree[key])
            for key, item in ((str(index), item) for index, item in enumerate(value))
            if key in tree
        )
    if type(value) is Set:
        meter.charge(1 + len(value))
        return Set(_filtered(meter, item, tree[item]) for item in value if item in tree)
    return value


def _remove(meter: Meter, value: Any, paths: Any) -> Any:
    return _removed(meter, mapping(value), _tree(meter, paths))


def _removed(meter: Meter, value: Any, tree: _Tree) -> Any:
    def kept(pairs: Any) -> Any:
        for key, item in pairs:
            if key not in tree:
                yield key, item
            elif tree[key] is not None:
                yield key, _removed(meter, item, tree[key])

    if type(value) is Object:
        meter.charge(1 + len(value))
        return Object(kept(value.items()))
    if type(value) is Array:
        meter.charge(1 + len(value))
        return Array(item for _, item in kept((str(i), item) for i, item in enumerate(value)))
    if type(value) is Set:
        meter.charge(1 + len(value))
        return Set(item for _, item in kept((item, item) for item in value))
    return value


FUNCTIONS: Final[Functions] = {
    "json.filter": (_filter, 2),
    "json.remove": (_remove, 2),
}
