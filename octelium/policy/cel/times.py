"""Timestamps, durations, their text forms and their calendar parts.

Text forms: RFC 3339 with up to nine digits of fraction, and Go's durations (`1h30m`, `-1.5s`).
Timestamps are of the years 1 to 9999; a duration is a 64-bit number of nanoseconds, some 292 years.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from octelium.policy.cel.errors import CelError
from octelium.policy.cel.values import SECOND, Duration, Frame, Timestamp, charge

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

_NO_ZONE: Final = "there is no time zone of this name"
_LONGEST_NAME: Final = 64
"""Characters; the longest of the IANA names has 32."""
_KEPT_ZONES: Final = 1024
_LOOK_UP: Final = 2500
"""Steps of the first look at a zone: it may take 200 µs."""
_ZONES: Final[dict[str, tzinfo]] = {}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MIN: Final = -62135596800 * SECOND
_MAX: Final = 253402300800 * SECOND - 1
_MAX_DURATION: Final = (1 << 63) - 1

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART: Final = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def timestamp(ns: int) -> Timestamp:
    """The instant `ns` nanoseconds after the epoch.

    Raises:
        CelError: outside of the years 1 to 9999.
    """
    if not _MIN <= ns <= _MAX:
        raise CelError("timestamp out of range: the year must be 1 to 9999")
    return Timestamp(ns)


def duration(ns: int) -> Duration:
    """A span of `ns` nanoseconds.

    Raises:
        CelError: longer than 64 bits of nanoseconds.
    """
    if not -_MAX_DURATION <= ns <= _MAX_DURATION:
        raise CelError("duration out of range")
    return Duration(ns)


def parse_timestamp(text: str) -> Timestamp:
    """Read RFC 3339.

    Raises:
        CelError: something else, or no such day or time.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise CelError("timestamp() needs a time of RFC 3339, such as 2026-01-31T12:00:00Z")
    year, month, day, hour, minute, second, fraction, sign, off_hours, off_minutes = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError as error:
        raise CelError(f"timestamp(): {error}") from None
    ns = (moment - _EPOCH) // timedelta(seconds=1) * SECOND + int((fraction or "0").ljust(9, "0"))
    if sign:
        if int(off_hours) > 23 or int(off_minutes) > 59:
            raise CelError("timestamp(): the offset from UTC is out of range")
        offset = (int(off_hours) * 60 + int(off_minutes)) * 60 * SECOND
        ns += -offset if sign == "+" else offset
    return timestamp(ns)


def format_timestamp(value: Timestamp) -> str:
    """RFC 3339 in UTC, with as many digits of fraction as there are."""
    seconds, ns = divmod(value.ns, SECOND)
    moment = _EPOCH + timedelta(seconds=seconds)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}{fraction}Z"


def parse_duration(text: str) -> Duration:
    """Read a sequence of decimal numbers with units, such as `1h15m30.5s`.

    Raises:
        CelError: something else.
    """
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration(0)
    total, position = 0, 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None or not (match[1] or match[2]):
            break
        unit = _UNITS[match[3]]
        total += int(match[1] or "0") * unit
        if match[2]:
            total += int(match[2]) * unit // 10 ** len(match[2])
        position = match.end()
    if not rest or position < len(rest):
        raise CelError("duration() needs numbers with units, such as 1h30m or 1.5s")
    return duration(-total if negative else total)


def format_duration(value: Duration) -> str:
    """Seconds with a decimal fraction and the unit `s`."""
    seconds, ns = divmod(abs(value.ns), SECOND)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{'-' if value.ns < 0 else ''}{seconds}{fraction}s"


def zone(frame: Frame, name: str) -> tzinfo:
    """A time zone by its IANA name or its offset from UTC, such as `Europe/Berlin` or `+02:00`.

    The empty name is UTC, as Go has it (https://pkg.go.dev/time#LoadLocation).
    The first look at a zone reads a file, and is charged for it.

    Raises:
        CelError: there is no such zone.
        BudgetError: nothing is left of the budget.
    """
    if len(name) > _LONGEST_NAME:
        raise CelError(_NO_ZONE)
    found = _ZONES.get(name)
    if found is None:
        charge(frame, _LOOK_UP)
        if len(_ZONES) >= _KEPT_ZONES:
            _ZONES.clear()
        found = _ZONES[name] = _load(name)
    return found


def _load(name: str) -> tzinfo:
    if match := _OFFSET.fullmatch(name):
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes >= 24 * 60 or int(match[3]) > 59:
            raise CelError("the offset from UTC is out of range")
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CelError(_NO_ZONE) from None


def local(frame: Frame, value: Timestamp, zone_name: str | None = None) -> datetime:
    """Calendar date and clock time of `value`, in UTC or a named zone.

    Raises:
        CelError: the zone is unknown or the year leaves 1 to 9999 there.
    """
    charge(frame, 8)
    moment = _EPOCH + timedelta(seconds=value.ns // SECOND)
    if zone_name is None:
        return moment
    try:
        return moment.astimezone(zone(frame, zone_name))
    except (OverflowError, ValueError):
        raise CelError("timestamp out of range in this time zone") from None


CALENDAR: Final[dict[str, Callable[[datetime], int]]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
}
"""Parts of a date by the names of their CEL functions, all but milliseconds."""

CLOCK: Final[dict[str, int]] = {
    "getHours": 3600 * SECOND,
    "getMinutes": 60 * SECOND,
    "getSeconds": SECOND,
}
"""Whole units in a duration by the names of their CEL functions, in nanoseconds."""
