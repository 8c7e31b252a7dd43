"""Extension library "strings": https://pkg.go.dev/github.com/google/cel-go/ext#Strings.

Positions and lengths count code points.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel import times
from octelium.policy.cel.errors import CelError
from octelium.policy.cel.operators import MAX_ITEMS, check_size
from octelium.policy.cel.values import (
    CelType,
    Duration,
    Frame,
    Timestamp,
    UInt,
    charge,
    no_overload,
    plain_key,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTED: Final = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)
_CLAUSE: Final = re.compile(r"%(?:\.(\d{1,9}))?(.)?", re.DOTALL | re.ASCII)
_MAX_PRECISION: Final = 1000


def _position(value: int, end: int) -> int:
    if 0 <= value <= end:
        return value
    raise CelError(f"index out of range: {value}")


def char_at(_frame: Frame, target: Any, index: Any) -> str:
    """The character at `index`; empty at the end."""
    if type(target) is not str or type(index) is not int:
        raise no_overload("charAt", target, index)
    _position(index, len(target))
    return target[index : index + 1]


def index_of(frame: Frame, target: Any, part: Any, start: Any = 0) -> int:
    """Where `part` first occurs at or after `start`; -1 if it does not."""
    if type(target) is not str or type(part) is not str or type(start) is not int:
        raise no_overload("indexOf", target, part, start)
    _position(start, len(target))
    charge(frame, len(target) >> 4)
    return target.find(part, start)


def last_index_of(frame: Frame, target: Any, part: Any, start: Any = None) -> int:
    """Where `part` last occurs, beginning at or before `start`; -1 if it does not."""
    last = len(target) if start is None and type(target) is str else start
    if type(target) is not str or type(part) is not str or type(last) is not int:
        raise no_overload("lastIndexOf", target, part, *(() if start is None else (start,)))
    _position(last, len(target))
    charge(frame, len(target) >> 4)
    return target.rfind(part, 0, last + len(part))


def lower_ascii(frame: Frame, target: Any) -> str:
    """`target` with A to Z in lower case."""
    if type(target) is not str:
        raise no_overload("lowerAscii", target)
    check_size(frame, len(target))
    if target.isascii():
        return target.lower()
    charge(frame, len(target))
    return target.translate(_LOWER)


def upper_ascii(frame: Frame, target: Any) -> str:
    """`target` with a to z in upper case."""
    if type(target) is not str:
        raise no_overload("upperAscii", target)
    check_size(frame, len(target))
    if target.isascii():
        return target.upper()
    charge(frame, len(target))
    return target.translate(_UPPER)


def replace(frame: Frame, target: Any, old: Any, new: Any, limit: Any = -1) -> str:
    """`target` with `old` replaced by `new`, at most `limit` times unless that is negative."""
    if type(target) is not str or type(old) is not str or type(new) is not str:
        raise no_overload("replace", target, old, new)
    if type(limit) is not int:
        raise no_overload("replace", target, old, new, limit)
    charge(frame, len(target) >> 4)
    times_found = target.count(old)
    count = times_found if limit < 0 else min(limit, times_found)
    check_size(frame, len(target) + max(0, len(new) - len(old)) * count)
    charge(frame, count >> 2)
    return target.replace(old, new, count)


def split(frame: Frame, target: Any, separator: Any, limit: Any = -1) -> list[object]:
    """The parts of `target`, at most `limit` unless that is negative; characters for ''."""
    if type(target) is not str or type(separator) is not str:
        raise no_overload("split", target, separator)
    if type(limit) is not int:
        raise no_overload("split", target, separator, limit)
    if limit == 0:
        return []
    charge(frame, len(target) >> 4)
    found = target.count(separator) + 1 if separator else len(target)
    parts = found if limit < 0 else min(limit, found)
    check_size(frame, parts, MAX_ITEMS)
    charge(frame, parts)
    if separator:
        return list(target.split(separator, parts - 1))
    if parts < found:
        return [*target[: parts - 1], target[parts - 1 :]]
    return list(target)


def substring(frame: Frame, target: Any, start: Any, end: Any = None) -> str:
    """The part from `start` up to but without `end`."""
    stop = len(target) if end is None and type(target) is str else end
    if type(target) is not str or type(start) is not int or type(stop) is not int:
        raise no_overload("substring", target, start, *(() if end is None else (end,)))
    _position(start, len(target))
    _position(stop, len(target))
    if start > stop:
        raise CelError(f"invalid substring range. start: {start}, end: {stop}")
    check_size(frame, stop - start)
    return target[start:stop]


def trim(frame: Frame, target: Any) -> str:
    """`target` without white space at both ends."""
    if type(target) is not str:
        raise no_overload("trim", target)
    charge(frame, len(target) >> 4)
    return target.strip(_SPACE)


def join(frame: Frame, target: Any, separator: Any = "") -> str:
    """The texts of a list, with `separator` between them."""
    if type(target) is not list or type(separator) is not str:
        raise no_overload("join", target, separator)
    total = len(separator) * max(0, len(target) - 1)
    charge(frame, len(target))
    for item in target:
        if type(item) is not str:
            raise no_overload("join", target, separator)
        total += len(item)
    check_size(frame, total)
    return separator.join(target)


def reverse(frame: Frame, target: Any) -> str:
    """`target` backwards."""
    if type(target) is not str:
        raise no_overload("reverse", target)
    check_size(frame, len(target))
    return target[::-1]


def quote(frame: Frame, target: Any) -> str:
    """`target` in double quotes, with escapes."""
    if type(target) is not str:
        raise no_overload("strings.quote", target)
    check_size(frame, len(target) * 2)
    charge(frame, len(target) >> 1)
    return f'"{target.translate(_QUOTED)}"'


def format_text(frame: Frame, template: Any, args: Any) -> str:
    """`template` with the clauses `%s %d %f %e %b %o %x %X %%` filled from a list."""
    if type(template) is not str or type(args) is not list:
        raise no_overload("format", template, args)
    charge(frame, len(template) >> 5)
    out: list[str] = []
    total = position = used = 0
    for match in _CLAUSE.finditer(template):
        out.append(template[position : match.start()])
        position = match.end()
        clause = match[2]
        if clause == "%" and match[1] is None:
            out.append("%")
        else:
            if used >= len(args):
                raise CelError(f"format(): index {used} out of range")
            out.append(_clause(frame, clause, match[1], args[used]))
            used += 1
        total += len(out[-1]) + len(out[-2])
        check_size(frame, total)
    out.append(template[position:])
    return "".join(out)


def _clause(frame: Frame, clause: str | None, digits: str | None, value: object) -> str:
    write = _CLAUSES.get(clause or "")
    if write is None:
        raise CelError(f"format(): unknown clause %{clause or ''}")
    precision = None if digits is None else int(digits)
    charge(frame, 8 + (precision or 0) // 4)
    if precision is not None and (precision > _MAX_PRECISION or clause not in ("f", "e")):
        raise CelError(f"format(): no precision of {precision} for %{clause}")
    return write(frame, value, 6 if precision is None else precision)


def _refused(clause: str, value: object) -> CelError:
    return CelError(f"format(): {clause} cannot be used on {type_name(value)}")


def _special(value: object) -> str | None:
    if type(value) is float and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return None


def _decimal(_frame: Frame, value: Any, _precision: int) -> str:
    if type(value) in (int, UInt):
        return str(int(value))
    if (special := _special(value)) is not None:
        return special
    raise _refused("%d", value)


def _fixed(_frame: Frame, value: Any, precision: int) -> str:
    if type(value) in (int, UInt, float):
        return _special(value) or f"{float(value):.{precision}f}"
    raise _refused("%f", value)


def _scientific(_frame: Frame, value: Any, precision: int) -> str:
    if type(value) in (int, UInt, float):
        return _special(value) or f"{float(value):.{precision}e}"
    raise _refused("%e", value)


def _binary(_frame: Frame, value: Any, _precision: int) -> str:
    if type(value) in (int, UInt, bool):
        return f"{int(value):b}"
    raise _refused("%b", value)


def _octal(_frame: Frame, value: Any, _precision: int) -> str:
    if type(value) in (int, UInt):
        return f"{int(value):o}"
    raise _refused("%o", value)


def _hexadecimal(frame: Frame, value: Any, _precision: int) -> str:
    if type(value) in (int, UInt):
        return f"{int(value):x}"
    if type(value) is str:
        value = value.encode("utf-8", "surrogatepass")
    if type(value) is bytes:
        check_size(frame, len(value) * 2)
        return value.hex()
    raise _refused("%x", value)


def _upper_hexadecimal(frame: Frame, value: Any, precision: int) -> str:
    return _hexadecimal(frame, value, precision).upper()


def _text(frame: Frame, value: Any, precision: int) -> str:
    charge(frame, 16)
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(int(value))
        case float():
            charge(frame, 16)
            return _special(value) or _plain_double(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case Timestamp():
            charge(frame, 24)
            return times.format_timestamp(value)
        case Duration():
            return times.format_duration(value)
        case CelType():
            return value.name
        case list():
            items = [_text(frame, item, precision) for item in value]
            check_size(frame, sum(map(len, items)))
            return f"[{', '.join(items)}]"
        case dict():
            charge(frame, 8 * len(value))
            entries = sorted(
                f"{_text(frame, plain_key(key), precision)}: {_text(frame, item, precision)}"
                for key, item in value.items()
            )
            check_size(frame, sum(map(len, entries)))
            return f"{{{', '.join(entries)}}}"
    raise _refused("%s", value)


def _plain_double(value: float) -> str:
    if value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return f"{Decimal(repr(value)):f}"


_CLAUSES: Final[dict[str, Callable[[Frame, Any, int], str]]] = {
    "s": _text,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal,
    "X": _upper_hexadecimal,
}

FUNCTIONS: Final[dict[tuple[str, int], Callable[..., object]]] = {
    ("charAt", 2): char_at,
    ("indexOf", 2): index_of,
    ("indexOf", 3): index_of,
    ("lastIndexOf", 2): last_index_of,
    ("lastIndexOf", 3): last_index_of,
    ("lowerAscii", 1): lower_ascii,
    ("upperAscii", 1): upper_ascii,
    ("replace", 3): replace,
    ("replace", 4): replace,
    ("split", 2): split,
    ("split", 3): split,
    ("substring", 2): substring,
    ("substring", 3): substring,
    ("trim", 1): trim,
    ("join", 1): join,
    ("join", 2): join,
    ("reverse", 1): reverse,
    ("strings.quote", 1): quote,
    ("format", 2): format_text,
}
