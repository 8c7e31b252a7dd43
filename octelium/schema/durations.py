"""Lengths of time as the API writes them: `{hours: 8}`, `{milliseconds: 500}`."""

from __future__ import annotations

from octelium.schema.pb import meta_v1_pb2 as meta

_DAY = 24 * 60 * 60
_MILLISECONDS = {
    "milliseconds": 1,
    "seconds": 1000,
    "minutes": 60 * 1000,
    "hours": 60 * 60 * 1000,
    "days": _DAY * 1000,
    "weeks": 7 * _DAY * 1000,
    "months": 30 * _DAY * 1000,
}

LONGEST = 100 * 12 * 30 * _DAY
"""The longest length that validation accepts, in seconds."""


def milliseconds(duration: meta.Duration) -> int:
    """The length in milliseconds; a week has 7 days, a month 30; an unset length is 0."""
    unit = duration.WhichOneof("type")
    return 0 if unit is None else int(getattr(duration, unit)) * _MILLISECONDS[unit]


def seconds(duration: meta.Duration) -> int:
    """The length in whole seconds, rounded down."""
    return milliseconds(duration) // 1000


def duration(length: int) -> meta.Duration:
    """A length of whole seconds in the largest unit (up to days) that expresses it exactly."""
    for unit in ("days", "hours", "minutes"):
        size = _MILLISECONDS[unit] // 1000
        if length and length % size == 0:
            return meta.Duration(**{unit: length // size})
    return meta.Duration(seconds=length)
