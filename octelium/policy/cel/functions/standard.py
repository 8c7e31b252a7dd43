"""The standard library: sizes, tests of texts, conversions, calendar parts.

CEL specification, "List of Standard Definitions".
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import re2

from octelium.policy.cel import times
from octelium.policy.cel.errors import CelError
from octelium.policy.cel.operators import check_size, make_int, make_uint
from octelium.policy.cel.values import (
    LONG,
    SECOND,
    CelType,
    Duration,
    Frame,
    Timestamp,
    UInt,
    charge,
    no_overload,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_INT: Final = re.compile(r"[+-]?[0-9]{1,40}")
_UINT: Final = re.compile(r"[0-9]{1,40}")
_DOUBLE: Final = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "false", "FALSE", "False"), False),
}
_LITERAL_MEMORY: Final = 4 * 1024 * 1024
"""Bytes of an automaton whose pattern stands in an expression."""
_DATA_MEMORY: Final = 256 * 1024
"""Bytes of an automaton whose pattern is data: that takes a millisecond or two to make."""
_MAX_DATA_PATTERN: Final = 1024
_FAILED_PATTERN: Final = 25_000
"""Steps for a pattern that was not made; it may have taken as long as a large one."""


class Pattern:
    """A regular expression of RE2.

    Its running time is linear in the text it searches, but each character may cost as much as the
    automaton has states (https://swtch.com/~rsc/regexp/regexp3.html).
    """

    __slots__ = ("_compiled", "size")

    def __init__(self, text: str, memory: int) -> None:
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.max_mem = memory
        try:
            self._compiled = re2.compile(text.encode(), options)
        except (re2.error, UnicodeEncodeError) as error:
            problem = f"matches(): {text!r} is no regular expression of RE2: {error}"
            raise CelError(problem) from None
        self.size: int = self._compiled.programsize
        """Instructions of the automaton."""

    def search(self, frame: Frame, target: str) -> bool:
        """Whether it matches some part of `target`."""
        charge(frame, 8 + (len(target) * self.size >> 4))
        try:
            return self._compiled.search(target.encode()) is not None
        except UnicodeEncodeError:
            raise CelError("matches(): the text is not valid Unicode") from None


@lru_cache(maxsize=1024)
def pattern(text: str, memory: int = _LITERAL_MEMORY) -> Pattern:
    """A compiled regular expression whose automaton takes about `memory` bytes at most.

    Raises:
        CelError: the syntax is wrong, or the automaton would be too large.
    """
    return Pattern(text, memory)


def matches(frame: Frame, target: Any, regex: Any) -> bool:
    """Whether `regex`, which is not known beforehand, matches some part of `target`."""
    if type(target) is not str or type(regex) is not str:
        raise no_overload("matches", target, regex)
    if len(regex) > _MAX_DATA_PATTERN:
        raise CelError(f"matches(): the pattern has more than {_MAX_DATA_PATTERN} characters")
    charge(frame, 160 + 8 * len(regex))
    try:
        compiled = pattern(regex, _DATA_MEMORY)
    except CelError:
        charge(frame, _FAILED_PATTERN)
        raise
    charge(frame, compiled.size)
    return compiled.search(frame, target)


def size(_frame: Frame, value: Any) -> int:
    """Code points, bytes, elements or entries."""
    if type(value) in (str, bytes, list, dict):
        return len(value)
    raise no_overload("size", value)


def contains(frame: Frame, target: Any, part: Any) -> bool:
    """Whether `part` occurs in `target`."""
    if type(target) is not str or type(part) is not str:
        raise no_overload("contains", target, part)
    charge(frame, len(target) >> 4)
    return part in target


def starts_with(frame: Frame, target: Any, part: Any) -> bool:
    """Whether `target` begins with `part`."""
    if type(target) is not str or type(part) is not str:
        raise no_overload("startsWith", target, part)
    if len(part) > LONG:
        charge(frame, len(part) >> 6)
    return target.startswith(part)


def ends_with(frame: Frame, target: Any, part: Any) -> bool:
    """Whether `target` ends with `part`."""
    if type(target) is not str or type(part) is not str:
        raise no_overload("endsWith", target, part)
    if len(part) > LONG:
        charge(frame, len(part) >> 6)
    return target.endswith(part)


def to_int(_frame: Frame, value: Any) -> int:
    """`int(value)`; doubles lose their fraction."""
    kind = type(value)
    if kind is int or kind is UInt:
        return make_int(int(value))
    if kind is float:
        # -2^63 itself is refused, as the doubles around it are not exact.
        if math.isnan(value) or not -(2.0**63) < value < 2.0**63:
            raise CelError("int(): the double is out of range")
        return int(value)
    if kind is str:
        if _INT.fullmatch(value) is None:
            raise CelError("int() needs a decimal number")
        return make_int(int(value))
    if kind is Timestamp:
        return int(value.ns // SECOND)
    if kind is Duration:
        return int(value.ns)
    raise no_overload("int", value)


def to_uint(_frame: Frame, value: Any) -> UInt:
    """`uint(value)`; doubles lose their fraction."""
    kind = type(value)
    if kind is int or kind is UInt:
        return make_uint(int(value))
    if kind is float:
        if math.isnan(value) or not 0 <= value < 2.0**64:
            raise CelError("uint(): the double is out of range")
        return UInt(int(value))
    if kind is str:
        if _UINT.fullmatch(value) is None:
            raise CelError("uint() needs a decimal number")
        return make_uint(int(value))
    raise no_overload("uint", value)


def to_double(_frame: Frame, value: Any) -> float:
    """`double(value)`."""
    kind = type(value)
    if kind is float or kind is int or kind is UInt:
        return float(value)
    if kind is str:
        if len(value) > 400 or _DOUBLE.fullmatch(value) is None:
            raise CelError("double() needs a number")
        number = float(value)
        if math.isinf(number) and "i" not in value.lower():
            raise CelError("double(): the number is out of range")
        return number
    raise no_overload("double", value)


def to_bool(_frame: Frame, value: Any) -> bool:
    """`bool(value)` of a bool or of one of the ten texts that mean one."""
    if type(value) is bool:
        return value
    if type(value) is str:
        if (result := _BOOLS.get(value)) is None:
            raise CelError("bool() needs true or false")
        return result
    raise no_overload("bool", value)


def format_double(value: float, *, high: int = 6) -> str:
    """The shortest text that reads back as `value`, as Go's `strconv.FormatFloat(v, 'g', -1)`.

    It has an exponent from 10 to the power of `high` on, and below 10 to the power of -4.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).rstrip("0")
    point = len(digits) + exponent
    minus = "-" if sign else ""
    power = point - 1
    if power < -4 or power >= high:
        tail = f".{text[1:]}" if len(text) > 1 else ""
        return f"{minus}{text[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    if len(text) <= point:
        return f"{minus}{text}{'0' * (point - len(text))}"
    return f"{minus}{text[:point]}.{text[point:]}"


def to_string(frame: Frame, value: Any) -> str:
    """`string(value)`."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is UInt:
        return str(int(value))
    if kind is float:
        charge(frame, 16)
        return format_double(value)
    if kind is bytes:
        check_size(frame, len(value))
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise CelError("string(): the bytes are no valid UTF-8") from None
    if kind is Timestamp:
        charge(frame, 24)
        return times.format_timestamp(value)
    if kind is Duration:
        return times.format_duration(value)
    raise no_overload("string", value)


def to_bytes(frame: Frame, value: Any) -> bytes:
    """`bytes(value)`: a string's UTF-8."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        check_size(frame, len(value))
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise CelError("bytes(): the text is not valid Unicode") from None
    raise no_overload("bytes", value)


def to_timestamp(frame: Frame, value: Any) -> Timestamp:
    """`timestamp(value)` of RFC 3339 text or Unix seconds."""
    kind = type(value)
    if kind is str:
        charge(frame, 16)
        return times.parse_timestamp(value)
    if kind is int:
        return times.timestamp(value * SECOND)
    if kind is Timestamp:
        return value  # type: ignore[no-any-return]  # a Timestamp
    raise no_overload("timestamp", value)


def to_duration(frame: Frame, value: Any) -> Duration:
    """`duration(value)` of text such as `1h30m`."""
    if type(value) is str:
        if len(value) > 256:
            raise CelError("duration(): the text is too long")
        charge(frame, 8 + len(value))
        return times.parse_duration(value)
    if type(value) is Duration:
        return value
    raise no_overload("duration", value)


def to_type(_frame: Frame, value: Any) -> CelType:
    """`type(value)`."""
    return type_of(value)


def to_dyn(_frame: Frame, value: object) -> object:
    """`dyn(value)`: the value itself; only the type checker sees a difference."""
    return value


def _accessor(name: str) -> Callable[..., int]:
    part = times.CALENDAR.get(name)
    unit = times.CLOCK.get(name)

    def access(frame: Frame, value: Any, zone: Any = None) -> int:
        if type(value) is Duration and unit and zone is None:
            whole = abs(value.ns) // unit
            return -whole if value.ns < 0 else whole
        if type(value) is not Timestamp or not (zone is None or type(zone) is str) or not part:
            raise no_overload(name, value, *(() if zone is None else (zone,)))
        return part(times.local(frame, value, zone))

    return access


def get_milliseconds(frame: Frame, value: Any, zone: Any = None) -> int:
    """Milliseconds of a timestamp's or a duration's second."""
    if type(value) is Timestamp and (zone is None or type(zone) is str):
        if zone is not None:
            times.zone(frame, zone)
        return value.ns % SECOND // 1_000_000
    if type(value) is Duration and zone is None:
        part = abs(value.ns) % SECOND // 1_000_000
        return -part if value.ns < 0 else part
    raise no_overload("getMilliseconds", value, *(() if zone is None else (zone,)))


FUNCTIONS: Final[dict[tuple[str, int], Callable[..., object]]] = {
    ("matches", 2): matches,
    ("size", 1): size,
    ("contains", 2): contains,
    ("startsWith", 2): starts_with,
    ("endsWith", 2): ends_with,
    ("int", 1): to_int,
    ("uint", 1): to_uint,
    ("double", 1): to_double,
    ("bool", 1): to_bool,
    ("string", 1): to_string,
    ("bytes", 1): to_bytes,
    ("timestamp", 1): to_timestamp,
    ("duration", 1): to_duration,
    ("type", 1): to_type,
    ("dyn", 1): to_dyn,
    ("getMilliseconds", 1): get_milliseconds,
    ("getMilliseconds", 2): get_milliseconds,
    **{(name, 1): _accessor(name) for name in times.CALENDAR},
    **{(name, 2): _accessor(name) for name in times.CALENDAR},
}
