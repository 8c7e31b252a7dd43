"""Types and conversions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import wrong
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import (
    TRUE,
    Array,
    Boolean,
    Meter,
    Object,
    Set,
    boolean,
    number,
    type_name,
)

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST: Final = 300


def _to_number(_: Meter, value: Any) -> int | float:
    if type(value) is int or type(value) is float:
        return value
    if value is None:
        return 0
    if type(value) is Boolean:
        return int(value is TRUE)
    if type(value) is not str:
        raise wrong(1, "string, number, boolean or null", value)
    if len(value) > _LONGEST or not _NUMBER.fullmatch(value):
        raise RegoError(f"{json.dumps(value[:40])} is no number")
    return number(float(value) if set(value) & set(".eE") else int(value))


def _type_name(_: Meter, value: Any) -> str:
    return type_name(value)


def _is(*kinds: type) -> Any:
    def check(_: Meter, value: Any) -> Boolean:
        return boolean(type(value) in kinds)

    return check


FUNCTIONS: Final[Functions] = {
    "is_array": (_is(Array), 1),
    "is_boolean": (_is(Boolean), 1),
    "is_null": (_is(type(None)), 1),
    "is_number": (_is(int, float), 1),
    "is_object": (_is(Object), 1),
    "is_set": (_is(Set), 1),
    "is_string": (_is(str), 1),
    "to_number": (_to_number, 1),
    "type_name": (_type_name, 1),
}
