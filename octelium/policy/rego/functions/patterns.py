"""Globs.

https://www.openpolicyagent.org/docs/policy-reference/builtins/glob: `*` stands for characters but
delimiters, `**` for any, `?` for one that is no delimiter, `[…]` for one of a list or range,
`{a,b}` for alternatives. Without a list of delimiters `.` is one; with null there is none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions import regexes
from octelium.policy.rego.functions.arguments import array, made, text
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Boolean, Meter, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_META: Final = frozenset("\\*?[]{}")
_ALTERNATIVES: Final = 8
"""Braces within braces."""
_LONGEST: Final = 2000
_DELIMITERS: Final = 64


def _match(meter: Meter, pattern: Any, delimiters: Any, value: Any) -> Boolean:
    given: tuple[str, ...] = ()
    if delimiters is not None:
        given = tuple(text(each, 2) for each in array(delimiters, 2)) or (".",)
    if len(text(pattern)) > _LONGEST:
        raise RegoError(f"a pattern has more than {_LONGEST} characters")
    if len(given) > _DELIMITERS:
        raise RegoError(f"there are more than {_DELIMITERS} delimiters")
    meter.charge(1 + len(pattern) + len(given) + (len(text(value, 3)) >> 6))
    compiled = regexes.pattern(_expression(pattern, given), meter)
    return boolean(regexes.charge_search(meter, compiled, value).search(value))


@lru_cache(maxsize=256)
def _expression(pattern: str, delimiters: tuple[str, ...]) -> str:
    if any(len(each) != 1 for each in delimiters):
        raise RegoError("a delimiter must be one character")
    excluded = "".join(f"\\x{{{ord(each):x}}}" for each in delimiters)
    one = f"[^{excluded}]" if excluded else "(?s:.)"
    translated, rest = _translated(pattern, 0, one, 0)
    if rest != len(pattern):
        raise RegoError(f"{pattern[:60]!r} is no glob")
    return f"(?s)\\A(?:{translated})\\z"


def _translated(pattern: str, at: int, one: str, depth: int) -> tuple[str, int]:
    """The expression for a pattern from `at` up to what ends it."""
    out: list[str] = []
    while at < len(pattern):
        character = pattern[at]
        if depth and character in ",}":
            break
        if character == "*":
            both = pattern[at : at + 2] == "**"
            out.append("(?s:.)*" if both else f"{one}*")
            at += 1 + both
        elif character == "?":
            out.append(one)
            at += 1
        elif character == "[":
            piece, at = _class(pattern, at)
            out.append(piece)
        elif character == "{":
            piece, at = _alternatives(pattern, at, one, depth)
            out.append(piece)
        else:
            if character == "\\":
                at += 1
                character = pattern[at : at + 1]
            out.append(_escaped(character))
            at += 1
    return "".join(out), at


def _alternatives(pattern: str, at: int, one: str, depth: int) -> tuple[str, int]:
    if depth >= _ALTERNATIVES:
        raise RegoError("braces are nested too deeply")
    found: list[str] = []
    while True:
        piece, at = _translated(pattern, at + 1, one, depth + 1)
        found.append(piece)
        if pattern[at : at + 1] != ",":
            break
    if pattern[at : at + 1] != "}":
        raise RegoError(f"{pattern[:60]!r} is no glob: a brace is not closed")
    return f"(?:{'|'.join(found)})", at + 1


def _class(pattern: str, at: int) -> tuple[str, int]:
    end = pattern.find("]", at + 1)
    body = pattern[at + 1 : end]
    negated = body.startswith("!")
    body = body[negated:]
    if end < 0 or not body:
        raise RegoError(f"{pattern[:60]!r} is no glob: a bracket is not closed, or is empty")
    if len(body) == 3 and body[1] == "-":
        if body[0] > body[2]:
            raise RegoError(f"{pattern[:60]!r} is no glob: a range is upside down")
        inner = f"{_escaped(body[0])}-{_escaped(body[2])}"
    else:
        inner = "".join(map(_escaped, body))
    return f"[{'^' if negated else ''}{inner}]", end + 1


def _escaped(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    return f"\\x{{{ord(character):x}}}" if character else ""


def _quote(meter: Meter, value: Any) -> str:
    meter.charge(len(text(value)) >> 3)
    quoted = (f"\\{each}" if each in _META else each for each in value)
    return made("".join(quoted), meter)


FUNCTIONS: Final[Functions] = {"glob.match": (_match, 3), "glob.quote_meta": (_quote, 1)}
