"""JSON and YAML documents, and paths in them.

Paths are texts with `/` between their steps, with the escapes of RFC 6901, or arrays of steps.
Patches are those of RFC 6902.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import array, made, mapping, members, text
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.values import (
    LONG,
    MAX_INT,
    Array,
    Boolean,
    Meter,
    Object,
    Set,
    boolean,
    from_json,
    number,
    to_json,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.rego.functions.arguments import Functions

_ESCAPES: Final = str.maketrans(
    {
        "<": "\\u003c", ">": "\\u003e", "&": "\\u0026",
        "\u2028": "\\u2028", "\u2029": "\\u2029", "\x7f": "\x7f",
    }
)  # fmt: skip
_PATH_STEPS: Final = 64


# --- JSON


def _marshal(meter: Meter, value: Any) -> str:
    return made(_written(meter, value, None), meter)


def _marshal_with_options(meter: Meter, value: Any, options: Any) -> str:
    given = mapping(options, 2)
    for name in given:
        if name not in ("indent", "prefix", "pretty"):
            raise RegoError(f"the options have no {name!r}")
    pretty = given.get("pretty")
    if pretty is not None and type(pretty) is not Boolean:
        raise RegoError("pretty must be a boolean")
    wanted = bool(pretty) if pretty is not None else bool({"indent", "prefix"} & set(given))
    if not wanted:
        return _marshal(meter, value)
    indent, prefix = text(given.get("indent", "\t")), text(given.get("prefix", ""))
    if len(indent) + len(prefix) > LONG:
        raise RegoError("indent and prefix are too long")
    written = _written(meter, value, indent)
    return made(written.replace("\n", f"\n{prefix}"), meter)


def _written(meter: Meter, value: Any, indent: str | None) -> str:
    _charge_whole(meter, value)
    separators = (",", ":") if indent is None else (",", ": ")
    form = to_json(value)
    try:
        dumped = json.dumps(
            form, ensure_ascii=False, separators=separators, indent=indent, sort_keys=False
        )
    except ValueError as error:
        raise RegoError(str(error)) from None
    return dumped.translate(_ESCAPES)


def _charge_whole(meter: Meter, value: Any) -> None:
    """Charge for everything in a value."""
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is str:
            meter.charge_size(item)
        elif kind is Object:
            meter.charge(len(item))
            pending.extend(item)
            pending.extend(item.values())
        elif kind is Array or kind is Set:
            meter.charge(len(item))
            pending.extend(item)


def _number(literal: str) -> int | float:
    if len(literal) > 300:
        raise RegoError("a number has more than 300 characters")
    value: int | float = float(literal) if set(literal) & set(".eE") else int(literal)
    return number(value)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"JSON has no number {name}")


def parse_json(given: str, meter: Meter) -> Any:
    """A value from JSON text.

    Raises:
        RegoError: it is none.
    """
    try:
        form = json.loads(
            given, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
        )
    except RegoError:
        raise
    except (ValueError, RecursionError) as error:
        raise RegoError(f"this is no JSON: {error}") from None
    return from_json(form, meter)


def _unmarshal(meter: Meter, given: Any) -> Any:
    meter.charge(len(text(given)) >> 3)
    return parse_json(given, meter)


def _is_json(meter: Meter, given: Any) -> Boolean:
    if type(given) is not str:
        return boolean(0)
    meter.charge(len(given) >> 3)
    try:
        parse_json(given, meter)
    except RegoBudgetError:
        raise
    except RegoError:
        return boolean(0)
    return boolean(1)


# --- YAML


def parse_yaml(given: str, meter: Meter) -> Any:
    """A value from YAML text; timestamps stay texts, and there are no aliases.

    Raises:
        RegoError: it is none.
    """
    import yaml

    loader = _loader(yaml)(given)
    try:
        form = loader.get_single_data()
        return from_json(_plain_yaml(form), meter)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = str(error).split("\n", 1)[0]
        raise RegoError(f"this is no YAML: {problem}") from None
    finally:
        loader.dispose()


def _loader(yaml: Any) -> Any:
    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not allowed")
            return super().compose_node(parent, index)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _plain_yaml(form: Any) -> Any:
    if isinstance(form, dict):
        return {_yaml_key(key): _plain_yaml(item) for key, item in form.items()}
    if isinstance(form, list):
        return [_plain_yaml(item) for item in form]
    if form is None or isinstance(form, (str, bool)):
        return form
    if isinstance(form, (int, float)) and -MAX_INT < form < MAX_INT:
        return number(form)
    raise ValueError(f"a {type(form).__name__} has no place in JSON")


def _yaml_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(key)
    raise ValueError("a key is no text")


def _unmarshal_yaml(meter: Meter, given: Any) -> Any:
    meter.charge(len(text(given)))
    return parse_yaml(given, meter)


def _is_yaml(meter: Meter, given: Any) -> Boolean:
    if type(given) is not str:
        return boolean(0)
    meter.charge(len(given))
    try:
        parse_yaml(given, meter)
    except RegoBudgetError:
        raise
    except RegoError:
        return boolean(0)
    return boolean(1)


# --- paths


def steps_of(path: Any) -> list[Any]:
    """The steps of a path."""
    if type(path) is str:
        parts = path.lstrip("/").split("/")
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


# --- patches


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

FUNCTIONS: Final[Functions] = {
    "json.filter": (_filter, 2),
    "json.is_valid": (_is_json, 1),
    "json.marshal": (_marshal, 1),
    "json.marshal_with_options": (_marshal_with_options, 2),
    "json.patch": (_patch, 2),
    "json.remove": (_remove, 2),
    "json.unmarshal": (_unmarshal, 1),
    "yaml.is_valid": (_is_yaml, 1),
    "yaml.unmarshal": (_unmarshal_yaml, 1),
}
