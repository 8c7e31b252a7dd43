"""Strings. Positions count Unicode code points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import (
    MAX_ITEMS,
    integer,
    made,
    mapping,
    num,
    text,
    texts,
)
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import LONG, Array, Boolean, Meter, boolean, ordered

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_SPACE: Final = "".join(
    chr(code)
    for code in (*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
                 0x202F, 0x205F, 0x3000)
)  # fmt: skip
"""What Unicode's property White_Space holds of."""
_BASES: Final = {2: "b", 8: "o", 10: "d", 16: "x"}


def _contains(meter: Meter, where: Any, what: Any) -> Boolean:
    meter.charge_size(text(where))
    return boolean(text(what, 2) in where)


def _startswith(_: Meter, where: Any, what: Any) -> Boolean:
    return boolean(text(where).startswith(text(what, 2)))


def _endswith(_: Meter, where: Any, what: Any) -> Boolean:
    return boolean(text(where).endswith(text(what, 2)))


def _strings(value: Any, position: int) -> tuple[str, ...]:
    return (value,) if type(value) is str else tuple(texts(value, position))


def _any_prefix(meter: Meter, where: Any, what: Any) -> Boolean:
    found, wanted = _strings(where, 1), _strings(what, 2)
    meter.charge(len(found) + len(wanted) + (len(found) * len(wanted) >> 3))
    return boolean(any(each.startswith(wanted) for each in found))


def _any_suffix(meter: Meter, where: Any, what: Any) -> Boolean:
    found, wanted = _strings(where, 1), _strings(what, 2)
    meter.charge(len(found) + len(wanted) + (len(found) * len(wanted) >> 3))
    return boolean(any(each.endswith(wanted) for each in found))


def _concat(meter: Meter, delimiter: Any, parts: Any) -> str:
    text(delimiter)
    found = texts(parts, 2)
    meter.charge(len(found) + (sum(map(len, found)) + len(delimiter) * len(found) >> 5))
    if type(parts) is not Array:
        found = ordered(found)
    return made(delimiter.join(found), meter)


def _lower(meter: Meter, value: Any) -> str:
    _charge_characters(meter, text(value))
    lowered = value.lower() if value.isascii() else "".join(map(_lowered, value))
    return made(lowered, meter)


def _lowered(character: str) -> str:
    """Each code point by itself and to a single one, as Go has it."""
    return "i" if character == "\u0130" else character.lower()


def _upper(meter: Meter, value: Any) -> str:
    _charge_characters(meter, text(value))
    return made("".join(map(_uppered, value)), meter)


def _charge_characters(meter: Meter, value: str) -> None:
    """Charge for looking at each character by itself."""
    if len(value) > LONG:
        meter.charge(len(value) >> 3)


def _uppered(character: str) -> str:
    """Code points that would become several stay as they are, as in Go."""
    upper = character.upper()
    return upper if len(upper) == 1 else character


def _indexof(meter: Meter, where: Any, what: Any) -> int:
    meter.charge_size(text(where))
    if not text(what, 2):
        raise RegoError("argument 2 must not be empty")
    return int(where.find(what))


def _indexof_n(meter: Meter, where: Any, what: Any) -> Array:
    meter.charge_size(text(where))
    if not text(what, 2):
        raise RegoError("argument 2 must not be empty")
    found: Array = Array()
    at = where.find(what)
    while at >= 0:
        meter.charge(1 + (len(what) >> 5))
        found.append(at)
        at = where.find(what, at + 1)
    return found


def _substring(meter: Meter, value: Any, start: Any, size: Any) -> str:
    first, length = integer(start, 2), integer(size, 3)
    if first < 0:
        raise RegoError("argument 2 must not be negative")
    rest = text(value)[first:]
    return made(rest if length < 0 else rest[:length], meter)


def _replace(meter: Meter, value: Any, old: Any, new: Any) -> str:
    return _replaced(meter, text(value), text(old, 2), text(new, 3))


def _replaced(meter: Meter, value: str, old: str, new: str) -> str:
    count = len(value) + 1 if not old else value.count(old)
    meter.charge_size(value)
    meter.charge(count + (len(value) + count * len(new) >> 5))
    return made(value.replace(old, new), meter)


def _replace_n(meter: Meter, patterns: Any, value: Any) -> str:
    """At each place of the text the first of the patterns, in order, counts that fits there."""
    given = mapping(patterns)
    meter.charge(4 * len(given))
    pairs = [(text(old), text(given[old])) for old in ordered(given)]
    if any(not old for old, _ in pairs):
        raise RegoError("a pattern must not be empty")
    longer = sum(len(old) >> 8 for old, _ in pairs)
    meter.charge(len(text(value, 2)) * (1 + len(pairs) + longer) >> 2)
    out: list[str] = []
    at = 0
    while at < len(value):
        old, new = next((pair for pair in pairs if value.startswith(pair[0], at)), ("", ""))
        if old:
            meter.charge(1 + (len(new) >> 5))
        out.append(new if old else value[at])
        at += len(old) or 1
    return made("".join(out), meter)


def _reverse(meter: Meter, value: Any) -> str:
    return made(text(value)[::-1], meter)


def _count(meter: Meter, where: Any, what: Any) -> int:
    meter.charge_size(text(where))
    return len(where) + 1 if not text(what, 2) else int(where.count(what))


def _split(meter: Meter, value: Any, delimiter: Any) -> Array:
    meter.charge_size(text(value))
    count = len(value) if not text(delimiter, 2) else value.count(delimiter) + 1
    if count > MAX_ITEMS:
        raise RegoError(f"there are more than {MAX_ITEMS} parts")
    meter.charge(count)
    return Array(value.split(delimiter) if delimiter else list(value))


def _cutset(meter: Meter, value: str, cutset: Any) -> str:
    """Each character once; each of `value` may be compared with all of them."""
    meter.charge(len(text(cutset, 2)) >> 4)
    characters = "".join(dict.fromkeys(cutset))
    meter.charge(len(value) * len(characters) >> 10)
    return characters


def _trim(meter: Meter, value: Any, cutset: Any) -> str:
    return made(text(value).strip(_cutset(meter, value, cutset)), meter)


def _trim_left(meter: Meter, value: Any, cutset: Any) -> str:
    return made(text(value).lstrip(_cutset(meter, value, cutset)), meter)


def _trim_right(meter: Meter, value: Any, cutset: Any) -> str:
    return made(text(value).rstrip(_cutset(meter, value, cutset)), meter)


def _trim_prefix(meter: Meter, value: Any, prefix: Any) -> str:
    return made(text(value).removeprefix(text(prefix, 2)), meter)


def _trim_suffix(meter: Meter, value: Any, suffix: Any) -> str:
    return made(text(value).removesuffix(text(suffix, 2)), meter)


def _trim_space(meter: Meter, value: Any) -> str:
    return made(text(value).strip(_SPACE), meter)


def _format_int(_: Meter, value: Any, base: Any) -> str:
    """Fractions are cut off."""
    code = _BASES.get(integer(base, 2))
    if code is None:
        raise RegoError("argument 2 must be 2, 8, 10 or 16")
    return format(int(num(value)), code)


FUNCTIONS: Final[Functions] = {
    "concat": (_concat, 2),
    "contains": (_contains, 2),
    "endswith": (_endswith, 2),
    "format_int": (_format_int, 2),
    "indexof": (_indexof, 2),
    "indexof_n": (_indexof_n, 2),
    "lower": (_lower, 1),
    "replace": (_replace, 3),
    "split": (_split, 2),
    "startswith": (_startswith, 2),
    "strings.any_prefix_match": (_any_prefix, 2),
    "strings.any_suffix_match": (_any_suffix, 2),
    "strings.count": (_count, 2),
    "strings.replace_n": (_replace_n, 2),
    "strings.reverse": (_reverse, 1),
    "substring": (_substring, 3),
    "trim": (_trim, 2),
    "trim_left": (_trim_left, 2),
    "trim_prefix": (_trim_prefix, 2),
    "trim_right": (_trim_right, 2),
    "trim_space": (_trim_space, 1),
    "trim_suffix": (_trim_suffix, 2),
    "upper": (_upper, 1),
}
