"""Values of CEL as JSON, and with their types."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

from octelium.policy.cel.times import format_duration, format_timestamp
from octelium.policy.cel.unparse import literal
from octelium.policy.cel.values import CelType, Duration, Timestamp, plain_key, type_name

_FLOATS = {math.inf: "Infinity", -math.inf: "-Infinity"}


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
            return int(value)  # an int in place of a UInt
        case list():
            return [json_form(item) for item in value]
        case dict():
            return {_json_key(plain_key(key)): json_form(item) for key, item in value.items()}
    return value


def typed(value: object) -> str:
    """The value in CEL's notation, and its type."""
    return f"{literal(value)} ({type_name(value)})"


def json_float(value: float) -> str:
    """The name of a double that is no number: `NaN`, `Infinity`, `-Infinity`."""
    return _FLOATS.get(value, "NaN")


def _json_key(key: object) -> str:
    return key if isinstance(key, str) else literal(key)
