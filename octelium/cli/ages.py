"""Instants and lengths of time as tables show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def length(seconds: float) -> str:
    """A length in the manner of kubectl: `90s`, `5m3s`, `12m`, `3h`, `2d4h`, `40d`, `1y30d`."""
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _pair(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _pair(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _pair(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _pair(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def age(instant: Timestamp, now: float) -> str:
    """How long ago an instant was; `-` for one that is not set."""
    return length(now - instant.seconds) if instant.seconds else "-"


def remaining(instant: Timestamp, now: float) -> str:
    """How long until an instant; `expired` after it, `never` for one that is not set."""
    if not instant.seconds:
        return "never"
    return length(instant.seconds - now) if instant.seconds > now else "expired"


def clock_time(instant: Timestamp) -> str:
    """Date and time in UTC to the millisecond, as RFC 3339."""
    moment = datetime.fromtimestamp(instant.seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant.nanos // 1_000_000:03}Z"


def _pair(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large}{large_name}" + (f"{rest}{small_name}" if rest else "")
