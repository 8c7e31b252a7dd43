"""JSON that strangers send, read in the one way in which nobody reads it differently.

A name that stands twice means something else to each reader (RFC 8259, section 4); `NaN` and
`Infinity` are no JSON at all (section 6).
"""

from __future__ import annotations

import json
from typing import Any


def parse(data: str | bytes) -> Any:
    """The value.

    Raises:
        ValueError: it is no JSON, a name stands twice in an object, or it is nested too deeply.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
