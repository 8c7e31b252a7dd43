"""Patches of documents (RFC 6902), sets included: their elements stand under themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import array, mapping, text
from octelium.policy.rego.functions.paths import steps_of
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Meter, Object, Set

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.rego.functions.arguments import Functions


def _patch(meter: Meter, value: Any, patches: Any) -> Any:
    result = value
    for patch in array(patches, 2):
        operation = mapping(patch, 2)
        if "op" not in operation or "path" not in operation:
            raise RegoError("a patch needs op and path")
        name = text(operation["op"])
        apply = _PATCHES.get(name)
        if apply is None:
            raise RegoError(f"there is no patch {name!r}")
        result = apply(meter, result, steps_of_patch(operation["path"]), operation)
    return result


def steps_of_patch(path: Any) -> list[Any]:
    """As `steps_of`; the empty path means the whole document."""
    return [] if path in ("", "/") else steps_of(path)


def _value_of(operation: Object) -> Any:
    if "value" not in operation:
        raise RegoError("the patch needs a value")
    return operation["value"]


def _position(values: Array, step: Any, *, beyond: bool) -> int:
    if beyond and step == "-":
        return len(values)
    index = int(step) if type(step) is str and step.isascii() and step.isdigit() else step
    if type(index) is not int or not 0 <= index < len(values) + beyond:
        raise RegoError(f"the array has no position {step!r}")
    return index


def _found(value: Any, steps: list[Any]) -> Any:
    for step in steps:
        if type(value) is Array:
            value = value[_position(value, step, beyond=False)]
        elif type(value) in (Object, Set) and step in value:
            value = value[step] if type(value) is Object else step
        else:
            raise RegoError(f"the patch's path leads nowhere at {step!r}")
    return value


def _changed(meter: Meter, value: Any, steps: list[Any], change: Callable[[Any, Any], None]) -> Any:
    """A copy of `value` where `change` was called on the last collection and the last step."""
    if type(value) not in (Array, Object, Set):
        raise RegoError(f"the patch's path leads nowhere at {steps[0]!r}")
    meter.charge(1 + len(value))
    copy = type(value)(value)
    step = steps[0]
    if len(steps) == 1:
        change(copy, step)
        return copy
    inner = _changed(meter, _found(value, [step]), steps[1:], change)
    if type(copy) is Set:
        copy.discard(step)
        copy.add(inner)
    else:
        copy[_position(copy, step, beyond=False) if type(copy) is Array else step] = inner
    return copy


def _put(value: Any) -> Callable[[Any, Any], None]:
    def change(collection: Any, step: Any) -> None:
        if type(collection) is Array:
            collection.insert(_position(collection, step, beyond=True), value)
        elif type(collection) is Set:
            if step != value:
                raise RegoError("a set's element stands under itself")
            collection.add(value)
        else:
            collection[step] = value

    return change


def _take(collection: Any, step: Any) -> None:
    if type(collection) is Array:
        del collection[_position(collection, step, beyond=False)]
    elif step not in collection:
        raise RegoError(f"the patch's path leads nowhere at {step!r}")
    elif type(collection) is Set:
        collection.discard(step)
    else:
        del collection[step]


def _add(meter: Meter, value: Any, steps: list[Any], operation: Object) -> Any:
    given = _value_of(operation)
    return _changed(meter, value, steps, _put(given)) if steps else given


def _remove_at(meter: Meter, value: Any, steps: list[Any], _operation: Object) -> Any:
    if not steps:
        raise RegoError("the whole document cannot be removed")
    return _changed(meter, value, steps, _take)


def _replace(meter: Meter, value: Any, steps: list[Any], operation: Object) -> Any:
    given = _value_of(operation)
    if not steps:
        return given
    _found(value, steps)

    def change(collection: Any, step: Any) -> None:
        _take(collection, step)
        _put(given)(collection, step)

    return _changed(meter, value, steps, change)


def _from(operation: Object) -> list[Any]:
    if "from" not in operation:
        raise RegoError("the patch needs from")
    return steps_of_patch(operation["from"])


def _copy(meter: Meter, value: Any, steps: list[Any], operation: Object) -> Any:
    given = _found(value, _from(operation))
    return _changed(meter, value, steps, _put(given)) if steps else given


def _move(meter: Meter, value: Any, steps: list[Any], operation: Object) -> Any:
    source = _from(operation)
    if steps[: len(source)] == source and len(steps) > len(source):
        raise RegoError("a value cannot be moved into itself")
    given = _found(value, source)
    rest = _changed(meter, value, source, _take) if source else given
    return _changed(meter, rest, steps, _put(given)) if steps else given


def _test(_: Meter, value: Any, steps: list[Any], operation: Object) -> Any:
    if _found(value, steps) != _value_of(operation):
        raise RegoError("a test of the patch failed")
    return value


_PATCHES: Final[dict[str, Callable[[Meter, Any, list[Any], Object], Any]]] = {
    "add": _add,
    "copy": _copy,
    "move": _move,
    "remove": _remove_at,
    "replace": _replace,
    "test": _test,
}

FUNCTIONS: Final[Functions] = {"json.patch": (_patch, 2)}
