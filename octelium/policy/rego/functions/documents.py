"""JSON and YAML documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import made, mapping, text
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.values import (
    COLLECTIONS,
    LONG,
    MAX_INT,
    Boolean,
    Meter,
    boolean,
    from_json,
    number,
    size_of,
    to_json,
)

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_ESCAPES: Final = str.maketrans(
    {
        "<": "\\u003c", ">": "\\u003e", "&": "\\u0026",
        "\u2028": "\\u2028", "\u2029": "\\u2029", "\x7f": "\x7f",
    }
)  # fmt: skip

_YAML: Final = 8
"""What a character of YAML costs."""


# --- JSON


def _marshal(meter: Meter, value: Any) -> str:
    return made(_written(value, None), meter)


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
    if type(value) in COLLECTIONS:
        weight, depth = size_of(value)
        meter.charge(weight * (depth * len(indent) + len(prefix)) >> 5)
    written = _written(value, indent)
    return made(written.replace("\n", f"\n{prefix}"), meter)


def _written(value: Any, indent: str | None) -> str:
    separators = (",", ":") if indent is None else (",", ": ")
    form = to_json(value)
    try:
        dumped = json.dumps(
            form, ensure_ascii=False, separators=separators, indent=indent, sort_keys=False
        )
    except ValueError as error:
        raise RegoError(str(error)) from None
    return dumped.translate(_ESCAPES)


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

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = _yaml_key(self.construct_object(key_node, deep=True))
                if key in found:
                    raise yaml.YAMLError("a key is given twice")
                found[key] = self.construct_object(value_node, deep=deep)
            return found

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _plain_yaml(form: Any) -> Any:
    if isinstance(form, dict):
        return {key: _plain_yaml(item) for key, item in form.items()}
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
    meter.charge(_YAML * len(text(given)))
    return parse_yaml(given, meter)


def _is_yaml(meter: Meter, given: Any) -> Boolean:
    if type(given) is not str:
        return boolean(0)
    meter.charge(_YAML * len(given))
    try:
        parse_yaml(given, meter)
    except RegoBudgetError:
        raise
    except RegoError:
        return boolean(0)
    return boolean(1)


FUNCTIONS: Final[Functions] = {
    "json.is_valid": (_is_json, 1),
    "json.marshal": (_marshal, 1),
    "json.marshal_with_options": (_marshal_with_options, 2),
    "json.unmarshal": (_unmarshal, 1),
    "yaml.is_valid": (_is_yaml, 1),
    "yaml.unmarshal": (_unmarshal_yaml, 1),
}
