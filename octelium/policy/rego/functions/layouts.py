"""Layouts of times, which show how a reference time would be written.

https://pkg.go.dev/time#Layout: Mon Jan 2 15:04:05 MST 2006. The names of Go's constants, such as
`RFC3339`, may stand for their layouts.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from octelium.policy.rego.needed import RegoError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
RFC3339: Final = "2006-01-02T15:04:05Z07:00"
RFC3339_NANO: Final = "2006-01-02T15:04:05.999999999Z07:00"
_NAMED: Final = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": RFC3339,
    "RFC3339Nano": RFC3339_NANO,
}
_PARTS: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|_2006|__2|_2|002|01|02|03|04|05|06|15|PM|pm"
    r"|Z07:00:00|Z07:00|Z070000|Z0700|Z07|-07:00:00|-07:00|-070000|-0700|-07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)
_LONGEST: Final = 200
_OFFSET: Final = {
    "07:00:00": r"[+-]\d\d:\d\d:\d\d", "07:00": r"[+-]\d\d:\d\d", "070000": r"[+-]\d{6}",
    "0700": r"[+-]\d{4}", "07": r"[+-]\d\d",
}  # fmt: skip
_TWO: Final = r"\d\d"
_ONE: Final = r"\d{1,2}"
_READING: Final = {
    "2006": r"\d{4}", "06": _TWO, "01": _TWO, "1": _ONE, "02": _TWO, "2": _ONE, "_2": r" ?\d{1,2}",
    "__2": r" {0,2}\d{1,3}", "002": r"\d{3}", "15": _TWO, "03": _TWO, "3": _ONE, "04": _TWO,
    "4": _ONE, "05": _TWO, "5": _ONE, "PM": "AM|PM", "pm": "am|pm",
    "January": "|".join(MONTHS), "Jan": "|".join(month[:3] for month in MONTHS),
    "Monday": "|".join(DAYS), "Mon": "|".join(day[:3] for day in DAYS),
    "MST": r"[A-Z]{3,4}",
}  # fmt: skip


def _pieces(layout: str) -> Iterator[tuple[str, bool]]:
    """Parts that stand for a field (True), and text between them."""
    layout = _NAMED.get(layout, layout)
    if len(layout) > _LONGEST:
        raise RegoError(f"a layout has more than {_LONGEST} characters")
    at = 0
    for match in _PARTS.finditer(layout):
        if match.start() > at:
            yield layout[at : match.start()], False
        found = match.group()
        if found == "_2006":
            yield "_", False
            found = "2006"
        yield found, True
        at = match.end()
    if at < len(layout):
        yield layout[at:], False


# --- writing


def formatted(moment: dt.datetime, below: int, layout: str) -> str:
    """A time by a layout; `below` are the nanoseconds of its second."""
    out: list[str] = []
    for piece, is_field in _pieces(layout):
        out.append(_written(moment, below, piece) if is_field else piece)
    return "".join(out)


def _written(moment: dt.datetime, below: int, piece: str) -> str:  # noqa: C901 - a table
    hour = moment.hour % 12 or 12
    match piece:
        case "2006":
            return f"{moment.year:04d}"
        case "06":
            return f"{moment.year % 100:02d}"
        case "January" | "Jan":
            return MONTHS[moment.month - 1][: None if piece == "January" else 3]
        case "Monday" | "Mon":
            return DAYS[moment.weekday()][: None if piece == "Monday" else 3]
        case "01" | "1":
            return f"{moment.month:0{len(piece)}d}"
        case "02" | "2":
            return f"{moment.day:0{len(piece)}d}"
        case "_2":
            return f"{moment.day:2d}"
        case "__2" | "002":
            return f"{moment.timetuple().tm_yday:{'3' if piece == '__2' else '03'}d}"
        case "15":
            return f"{moment.hour:02d}"
        case "03" | "3":
            return f"{hour:0{len(piece)}d}"
        case "04" | "4":
            return f"{moment.minute:0{len(piece)}d}"
        case "05" | "5":
            return f"{moment.second:0{len(piece)}d}"
        case "PM" | "pm":
            half = "PM" if moment.hour >= 12 else "AM"
            return half if piece == "PM" else half.lower()
        case "MST":
            return _zone_name(moment)
    if piece[0] in ".,":
        digits = f"{below:09d}"[: len(piece) - 1].ljust(len(piece) - 1, "0")
        if piece[1] == "9":
            digits = digits.rstrip("0")
        return piece[0] + digits if digits else ""
    return _offset(moment, piece)


def _zone_name(moment: dt.datetime) -> str:
    name = moment.tzname() or "UTC"
    return name if not name.startswith("UTC") or name == "UTC" else _offset(moment, "-0700")


def _offset(moment: dt.datetime, piece: str) -> str:
    seconds = int((moment.utcoffset() or dt.timedelta()).total_seconds())
    if piece[0] == "Z" and not seconds:
        return "Z"
    sign = "-" if seconds < 0 else "+"
    hours, rest = divmod(abs(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    colon = ":" if ":" in piece else ""
    digits = piece.count("0") + piece.count("7")
    parts = [f"{hours:02d}", f"{minutes:02d}", f"{seconds:02d}"][: digits // 2]
    return sign + colon.join(parts)


# --- reading


def parsed(layout: str, value: str) -> tuple[dt.datetime, int]:
    """The time that a text means by a layout, and the nanoseconds of its second.

    Raises:
        RegoError: it means none.
    """
    pieces = list(_pieces(layout))
    expression, names = _expression(pieces)
    match = re.compile(expression, re.ASCII).fullmatch(value) if len(value) < _LONGEST else None
    if match is None:
        raise RegoError(f"{value[:60]!r} is no time like {layout[:60]!r}")
    fields = {name: match[index + 1] for index, name in enumerate(names)}
    try:
        return _moment(fields)
    except ValueError as error:
        raise RegoError(f"{value[:60]!r} is no time: {error}") from None


def _expression(pieces: list[tuple[str, bool]]) -> tuple[str, list[str]]:
    out: list[str] = []
    names: list[str] = []
    for index, (piece, is_field) in enumerate(pieces):
        if not is_field:
            out.append(re.escape(piece))
            continue
        if piece[0] in ".,":
            digits = len(piece) - 1
            out.append(f"[.,](\\d{{{digits}}})" if piece[1] == "0" else "(?:[.,](\\d{1,9}))?")
            names.append("fraction")
            continue
        if piece[0] in "Z-" and piece[1:] in _OFFSET:
            zulu = "Z|" if piece[0] == "Z" else ""
            out.append(f"({zulu}{_OFFSET[piece[1:]]})")
            names.append("offset")
            continue
        out.append(f"({_READING[piece]})")
        names.append(piece)
        following = pieces[index + 1][0] if index + 1 < len(pieces) else ""
        if piece in ("05", "5") and following[:2] not in (".0", ",0", ".9", ",9"):
            # A fraction is taken although the layout shows none.
            out.append("(?:[.,](\\d{1,9}))?")
            names.append("fraction")
    return "".join(out), names


def _moment(fields: dict[str, str | None]) -> tuple[dt.datetime, int]:
    def number(*names: str, default: int) -> int:
        for name in names:
            given = fields.get(name)
            if given is not None:
                return int(given)
        return default

    year = number("2006", default=0)
    if "06" in fields:
        short = number("06", default=0)
        year = short + (1900 if short >= 69 else 2000)
    month = _month(fields) or number("01", "1", default=1)
    day = number("02", "2", "_2", default=1)
    hour = _hour(fields, number("15", default=0), number("03", "3", default=-1))
    if not year:
        raise ValueError("the layout has no year")
    moment = dt.datetime(
        year, month, day, hour, number("04", "4", default=0), number("05", "5", default=0),
        tzinfo=_zone(fields),
    )  # fmt: skip
    of_year = number("002", "__2", default=0)
    if of_year:
        moment = moment.replace(month=1, day=1) + dt.timedelta(days=of_year - 1)
        if moment.year != year:
            raise ValueError("day of year out of range")
    fraction = fields.get("fraction") or ""
    return moment, int(fraction.ljust(9, "0")[:9] or 0)


def _month(fields: dict[str, str | None]) -> int:
    name = fields.get("January") or fields.get("Jan")
    if name is None:
        return 0
    return next(i for i, month in enumerate(MONTHS, 1) if month.startswith(name))


def _hour(fields: dict[str, str | None], hour: int, short: int) -> int:
    if short < 0:
        return hour
    if short > 12:
        raise ValueError("hour out of range")
    half = (fields.get("PM") or fields.get("pm") or "").lower()
    if half == "pm" and short < 12:
        return short + 12
    return 0 if half == "am" and short == 12 else short


def _zone(fields: dict[str, str | None]) -> dt.tzinfo:
    offset = fields.get("offset")
    if offset and offset != "Z":
        digits = offset[1:].replace(":", "")
        parts = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        if hours > 24 or minutes > 60 or seconds > 60:
            raise ValueError("time zone offset out of range")
        delta = dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return dt.timezone(-delta if offset[0] == "-" else delta)
    # Other abbreviations mean no particular offset; Go takes them for UTC.
    return dt.UTC
