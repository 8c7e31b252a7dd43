"""Values of CEL as texts: in CEL's own notation, and as JSON."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from octelium.policy.cel.times import format_duration, format_timestamp
from octelium.policy.cel.values import (
    CelType,
    Duration,
    Timestamp,
    UInt,
    plain_key,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_FLOATS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def notation(value: object) -> str:
    """An expression that results in the value, so that its type can be seen: `1`, `1u`, `1.0`.

    Raises TypeError for what is no value of CEL.
    """
    match value:
        case None | bool():
            return json.dumps(value)
        case UInt():
            return f"{int(value)}u"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else f'double("{json_float(value)}")'
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return f'b"{"".join(map(_byte, value))}"'
        case Timestamp():
            return f'timestamp("{format_timestamp(value)}")'
        case Duration():
            return f'duration("{format_duration(value)}")'
        case CelType():
            return value.name
        case list():
            return f"[{_listed(notation(item) for item in value)}]"
        case dict():
            return f"{{{_listed(map(_entry, value.items()))}}}"
    raise TypeError(f"{type(value).__name__} has no place in CEL")


def json_form(value: object) -> Any:
    """The value for JSON, as protobuf's JSON mapping writes it.

    Whole doubles become integers, bytes base64, times texts; types become their names and keys of
    maps texts. (https://protobuf.dev/programming-guides/json/)
    """
    match value:
        case float():
            if not math.isfinite(value):
                return json_float(value)
            return int(value) if value.is_integer() else value
        case bytes():
            return b64encode(value).decode()
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
        case CelType():
            return value.name
        case int() if not isinstance(value, bool):
            return int(value)
        case list():
            return [json_form(item) for item in value]
        case dict():
            return {_json_key(plain_key(key)): json_form(item) for key, item in value.items()}
    return value


def typed(value: object) -> str:
    """The notation, with the type where it does not show."""
    return f"{notation(value)} ({type_name(value)})"


def json_float(value: float) -> str:
    """The name of a double that is no number: `NaN`, `Infinity`, `-Infinity`."""
    return _FLOATS.get(value, "NaN")


def _entry(item: tuple[object, object]) -> str:
    key, value = item
    return f"{notation(plain_key(key))}: {notation(value)}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts)


def _byte(value: int) -> str:
    character = chr(value)
    if character in '"\\':
        return f"\\{character}"
    return character if 0x20 <= value < 0x7F else f"\\x{value:02x}"


def _json_key(key: object) -> str:
    return key if isinstance(key, str) else notation(key)
