"""Semantic versions (https://semver.org), and what comes by chance."""

from __future__ import annotations

import re
import secrets
import uuid
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import integer, text
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Boolean, Meter, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_VERSION: Final = re.compile(
    r"(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})"
    r"(?:-([0-9A-Za-z.-]{1,256}))?(?:\+([0-9A-Za-z.-]{1,256}))?"
)
_Key = tuple[int, int, int, bool, list[tuple[bool, int, str]]]


def _parts(given: str) -> _Key | None:
    """What versions are ordered by; None for what is none."""
    match = _VERSION.fullmatch(given)
    if match is None:
        return None
    identifiers = [] if match[4] is None else match[4].split(".")
    for each in (*identifiers, *([] if match[5] is None else match[5].split("."))):
        if not each:
            return None
    if any(each.isdigit() and each[0] == "0" and each != "0" for each in identifiers):
        return None
    keys = [(False, int(each), "") if each.isdigit() else (True, 0, each) for each in identifiers]
    return int(match[1]), int(match[2]), int(match[3]), not identifiers, keys


def _compare(_: Meter, left: Any, right: Any) -> int:
    one, other = _parts(text(left)), _parts(text(right, 2))
    if one is None or other is None:
        given = left if one is None else right
        raise RegoError(f"{given[:60]!r} is no semantic version")
    return (one > other) - (one < other)


def _is_valid(_: Meter, given: Any) -> Boolean:
    return boolean(type(given) is str and _parts(given) is not None)


def _random(meter: Meter, seed: Any, below: Any) -> int:
    """The same number for the same arguments within one evaluation."""
    limit = abs(integer(below, 2))
    key = "rand.intn", text(seed), limit
    if key not in meter.chances:
        meter.chances[key] = secrets.randbelow(limit) if limit else 0
    return int(meter.chances[key])


def _uuid(meter: Meter, seed: Any) -> str:
    """The same UUID of version 4 for the same argument within one evaluation."""
    key = "uuid.rfc4122", text(seed)
    if key not in meter.chances:
        meter.chances[key] = str(uuid.uuid4())
    return str(meter.chances[key])


FUNCTIONS: Final[Functions] = {
    "rand.intn": (_random, 2),
    "semver.compare": (_compare, 2),
    "semver.is_valid": (_is_valid, 1),
    "uuid.rfc4122": (_uuid, 1),
}
