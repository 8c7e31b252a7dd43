"""`sprintf`, whose verbs are those of Go.

https://pkg.go.dev/fmt: `%v`, `%d`, `%s`, `%q`, `%x`, `%X`, `%o`, `%b`, `%c`, `%e`, `%f`, `%g` and
their upper-case forms, `%t`, with flags, width and precision. Numbers are formatted as such, all
other values but strings by their text in Rego. Like Go's, a wrong verb gives `%!d(string=x)`.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import array, made, text
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Boolean, Meter, Object, Set, charge, ordered

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_VERB: Final = re.compile(r"%([+\-# 0]*)([0-9]*)(?:(\.)([0-9]*))?(.?)", re.DOTALL)
_WIDEST: Final = 1000
_DEPTH: Final = 64


def rego_text(value: Any, depth: int = 0) -> str:
    """A value as Rego writes it."""
    if depth > _DEPTH:
        raise RegoError(f"a value is nested more than {_DEPTH} levels deep")
    if value is None:
        return "null"
    kind = type(value)
    if kind is str:
        charge(len(value) >> 5)
        return json.dumps(value, ensure_ascii=False)
    if kind is Boolean:
        return repr(value)
    if kind in (Array, Set, Object):
        charge(1 + len(value))
    if kind is Array:
        return f"[{', '.join(rego_text(item, depth + 1) for item in value)}]"
    if kind is Set:
        inner = ", ".join(rego_text(item, depth + 1) for item in ordered(value))
        return f"{{{inner}}}" if inner else "set()"
    if kind is Object:
        pairs = (
            f"{rego_text(key, depth + 1)}: {rego_text(value[key], depth + 1)}"
            for key in ordered(value)
        )
        return f"{{{', '.join(pairs)}}}"
    return str(value)


def _sprintf(meter: Meter, template: Any, values: Any) -> str:
    """Each verb takes the next of the values."""
    args = [
        value if type(value) in (int, float, str) else rego_text(value)
        for value in array(values, 2)
    ]
    meter.charge_size(text(template))
    meter.charge(len(args))
    out: list[str] = []
    at, used = 0, 0
    for match in _VERB.finditer(template):
        out.append(template[at : match.start()])
        at = match.end()
        verb = match[5]
        if verb == "%":
            out.append("%")
        elif not verb:
            out.append("%!(NOVERB)")
        elif used >= len(args):
            out.append(f"%!{verb}(MISSING)")
        else:
            meter.charge(1)
            out.append(_formatted(match, args[used]))
            used += 1
    out.append(template[at:])
    if used < len(args):
        extra = ", ".join(f"{_go_type(value)}={_plain(value)}" for value in args[used:])
        out.append(f"%!(EXTRA {extra})")
    return made("".join(out), meter)


def _go_type(value: Any) -> str:
    return {int: "int", float: "float64", str: "string"}[type(value)]


def _plain(value: Any) -> str:
    return _general(value, None, "g") if type(value) is float else str(value)


def _formatted(match: re.Match[str], value: Any) -> str:
    flags, verb = match[1], match[5]
    width = int(match[2] or 0)
    precision = int(match[4] or 0) if match[3] else None
    if width > _WIDEST or (precision or 0) > _WIDEST:
        raise RegoError(f"a width or precision is more than {_WIDEST}")
    if type(value) is str:
        body, is_number = _of_text(value, verb, precision), False
    elif type(value) is int:
        body, is_number = _of_int(value, verb, flags, precision), verb not in "cqU"
    else:
        body, is_number = _of_float(value, verb, flags, precision), True
    if body is None:
        return f"%!{verb}({_go_type(value)}={_plain(value)})"
    if is_number:
        if "+" in flags and body[:1] not in "+-":
            body = f"+{body}"
        elif " " in flags and body[:1] not in "+-":
            body = f" {body}"
    return _padded(body, width, flags, is_number=is_number, precise=precision is not None)


def _padded(body: str, width: int, flags: str, *, is_number: bool, precise: bool) -> str:
    if "-" in flags:
        return body.ljust(width)
    if "0" in flags and not (is_number and precise and "." not in body and "e" not in body):
        sign = body[:1] if is_number and body[:1] in "+- " else ""
        return sign + body[len(sign) :].rjust(width - len(sign), "0")
    return body.rjust(width)


def _of_text(value: str, verb: str, precision: int | None) -> str | None:
    match verb:
        case "v" | "s":
            return value if precision is None else value[:precision]
        case "q":
            shown = value if precision is None else value[:precision]
            return json.dumps(shown, ensure_ascii=False)
        case "x" | "X":
            data = value.encode()[: precision if precision is not None else None].hex()
            return data.upper() if verb == "X" else data
    return None


def _of_int(value: int, verb: str, flags: str, precision: int | None) -> str | None:
    match verb:
        case "v" | "d":
            digits, prefix = str(abs(value)), ""
        case "x" | "X" | "o" | "b":
            digits = format(abs(value), verb)
            marks = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}
            prefix = marks[verb] if "#" in flags else ""
        case "c" | "q" | "U":
            return _of_code_point(value, verb)
        case _:
            return None
    if precision is not None:
        digits = digits.rjust(precision, "0")
    return f"{'-' if value < 0 else ''}{prefix}{digits}"


def _of_code_point(value: int, verb: str) -> str:
    if verb == "U":
        return f"U+{value:04X}" if value >= 0 else "U+FFFD"
    valid = 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000
    character = chr(value) if valid else "\ufffd"
    return character if verb == "c" else f"'{character}'"


def _of_float(value: float, verb: str, flags: str, precision: int | None) -> str | None:
    match verb:
        case "v" | "g":
            return _general(value, precision, "g")
        case "G":
            return _general(value, precision, "G")
        case "e" | "E" | "f" | "F":
            digits = 6 if precision is None else precision
            return f"{value:{'#' if '#' in flags else ''}.{digits}{verb}}"
    return None


def _general(value: float, precision: int | None, verb: str) -> str:
    """Like C's, but the shortest text by default, with exponents from 21 on."""
    if precision is not None:
        return f"{value:.{precision or 1}{verb}}"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) - 1 + exponent
    if -5 < power < 21:
        return format(Decimal(repr(value)).normalize(), "f")
    text_ = "".join(map(str, digits))
    mantissa = text_[0] + (f".{text_[1:]}" if text_[1:] else "")
    mark = "E" if verb == "G" else "e"
    return f"{'-' if sign else ''}{mantissa}{mark}{'-' if power < 0 else '+'}{abs(power):02d}"


FUNCTIONS: Final[Functions] = {"sprintf": (_sprintf, 2)}
