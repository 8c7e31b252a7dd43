"""Instants in nanoseconds since 1970, calendar dates and durations.

Where a function takes an instant, it also takes an array of instant and time zone (a name of the
IANA database, UTC or Local, which is UTC here). Layouts are those of `layouts`.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions import layouts
from octelium.policy.rego.functions.arguments import integer, text, wrong
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Meter

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_SECOND: Final = 1_000_000_000
_UNITS: Final = {
    "ns": 1, "us": 1000, "\u00b5s": 1000, "\u03bcs": 1000, "ms": 1_000_000, "s": _SECOND,
    "m": 60 * _SECOND, "h": 3600 * _SECOND,
}  # fmt: skip
_DURATION: Final = re.compile(r"([0-9]{0,20})(?:\.([0-9]{0,30}))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_INT64: Final = 1 << 63
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> dt.tzinfo:
    if name in ("", "UTC", "Local"):
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise RegoError(f"there is no time zone {name[:60]!r}") from None


def _instant(given: Any) -> tuple[int, dt.tzinfo, str]:
    """Nanoseconds, time zone and layout."""
    zone, layout = dt.UTC, ""
    if type(given) is Array:
        if not 2 <= len(given) <= 3:
            raise RegoError("an array must hold an instant, a time zone and, at most, a layout")
        zone = _zone(text(given[1]))  # type: ignore[assignment]  # any zone
        layout = text(given[2]) if len(given) == 3 else ""
        given = given[0]
    if type(given) not in (int, float):
        raise wrong(1, "number or array", given)
    ns = integer(given)
    if not -_INT64 <= ns < _INT64:
        raise RegoError("the timestamp is too big")
    return ns, zone, layout


def _moment(ns: int, zone: dt.tzinfo) -> dt.datetime:
    """To the second; what is below stays with the caller."""
    return (_EPOCH + dt.timedelta(seconds=ns // _SECOND)).astimezone(zone)


def _nanoseconds(moment: dt.datetime, below: int) -> int:
    delta = moment.astimezone(dt.UTC) - _EPOCH
    ns = (delta.days * 86400 + delta.seconds) * _SECOND + below
    if not -_INT64 <= ns < _INT64:
        raise RegoError("the time is outside of the valid range")
    return ns


def _now(meter: Meter) -> int:
    return meter.now_ns


def _date(_: Meter, given: Any) -> Array:
    ns, zone, _layout = _instant(given)
    moment = _moment(ns, zone)
    return Array([moment.year, moment.month, moment.day])


def _clock(_: Meter, given: Any) -> Array:
    ns, zone, _layout = _instant(given)
    moment = _moment(ns, zone)
    return Array([moment.hour, moment.minute, moment.second])


def _weekday(_: Meter, given: Any) -> str:
    ns, zone, _layout = _instant(given)
    return layouts.DAYS[_moment(ns, zone).weekday()]


def _add_date(_: Meter, given: Any, years: Any, months: Any, days: Any) -> int:
    """Days beyond the end of a month go on into the next."""
    ns, zone, _layout = _instant(given)
    moment = _moment(ns, zone)
    month = moment.month - 1 + integer(months, 3)
    try:
        first = moment.replace(
            year=moment.year + integer(years, 2) + month // 12, month=month % 12 + 1, day=1
        )
        naive = first.replace(tzinfo=None) + dt.timedelta(days=moment.day - 1 + integer(days, 4))
        return _nanoseconds(naive.replace(tzinfo=zone), ns % _SECOND)
    except (ValueError, OverflowError):
        raise RegoError("the time is outside of the valid range") from None


def _diff(_: Meter, one: Any, other: Any) -> Array:
    """Years, months, days, hours, minutes and seconds between two instants."""
    first, zone, _layout = _instant(one)
    second, _zone_of_second, _layout = _instant(other)
    early, late = sorted((first, second))
    a, b = _moment(early, zone), _moment(late, zone)
    fields = [
        b.year - a.year, b.month - a.month, b.day - a.day,
        b.hour - a.hour, b.minute - a.minute, b.second - a.second,
    ]  # fmt: skip
    if late % _SECOND < early % _SECOND:
        fields[5] -= 1
    for index, base in ((5, 60), (4, 60), (3, 24)):
        if fields[index] < 0:
            fields[index] += base
            fields[index - 1] -= 1
    if fields[2] < 0:
        following = a.replace(day=1, tzinfo=None) + dt.timedelta(days=32)
        fields[2] += (following.replace(day=1) - a.replace(day=1, tzinfo=None)).days
        fields[1] -= 1
    if fields[1] < 0:
        fields[1] += 12
        fields[0] -= 1
    return Array(fields)


def _format(_: Meter, given: Any) -> str:
    ns, zone, layout = _instant(given)
    return layouts.formatted(_moment(ns, zone), ns % _SECOND, layout or layouts.RFC3339_NANO)


def _parse(_: Meter, layout: Any, value: Any) -> int:
    return _nanoseconds(*layouts.parsed(text(layout), text(value, 2)))


def _parse_rfc3339(_: Meter, value: Any) -> int:
    return _nanoseconds(*layouts.parsed(layouts.RFC3339, text(value)))


def _parse_duration(meter: Meter, value: Any) -> int:
    meter.charge(len(text(value)) >> 1)
    rest = value
    negative = rest.startswith("-")
    rest = rest.removeprefix("-") if negative else rest.removeprefix("+")
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest) or not at:
        match = _DURATION.match(rest, at)
        if match is None or not (match[1] or match[2]):
            raise RegoError(f"{value[:60]!r} is no duration")
        unit = _UNITS[match[3]]
        total += int(match[1] or 0) * unit
        fraction = match[2] or ""
        total += int(fraction or 0) * unit // 10 ** len(fraction)
        at = match.end()
    if total >= _INT64 + negative:
        raise RegoError(f"{value[:60]!r} is no duration: it is too long")
    return -total if negative else total


FUNCTIONS: Final[Functions] = {
    "time.add_date": (_add_date, 4),
    "time.clock": (_clock, 1),
    "time.date": (_date, 1),
    "time.diff": (_diff, 2),
    "time.format": (_format, 1),
    "time.now_ns": (_now, 0),
    "time.parse_duration_ns": (_parse_duration, 1),
    "time.parse_ns": (_parse, 2),
    "time.parse_rfc3339_ns": (_parse_rfc3339, 1),
    "time.weekday": (_weekday, 1),
}
