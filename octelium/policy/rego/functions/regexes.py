"""Regular expressions of RE2, which search in time linear in the text.

https://github.com/google/re2/wiki/Syntax; OPA's are the same language.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import re2

from octelium.policy.rego.functions.arguments import MAX_ITEMS, integer, made, text
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Boolean, Meter, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_MAX_MEMORY: Final = 4 * 1024 * 1024
_MAX_PATTERN: Final = 10_000

PATTERN_ARGUMENT: Final = {
    "regex.find_all_string_submatch_n": 0,
    "regex.find_n": 0,
    "regex.match": 0,
    "regex.replace": 1,
    "regex.split": 0,
}
"""Which argument of a function is a pattern, counted from 0."""


@lru_cache(maxsize=256)
def pattern(expression: str) -> Any:
    """A compiled expression.

    Raises:
        RegoError: it is none, or takes too much memory.
    """
    if len(expression) > _MAX_PATTERN:
        raise RegoError(f"a pattern has more than {_MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(expression, options)
    except (re2.error, ValueError) as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise RegoError(f"{expression[:60]!r} is no regular expression of RE2: {reason}") from None


def _charge(meter: Meter, expression: Any, value: Any, position: int = 2) -> Any:
    """The compiled pattern, after both were charged."""
    meter.charge(1 + (len(text(expression)) >> 3) + (len(text(value, position)) >> 4))
    compiled = pattern(expression)
    meter.charge(compiled.programsize >> 5)
    return compiled


def _match(meter: Meter, expression: Any, value: Any) -> Boolean:
    return boolean(_charge(meter, expression, value).search(value))


def _is_valid(meter: Meter, expression: Any) -> Boolean:
    if type(expression) is not str:
        return boolean(0)
    meter.charge(1 + (len(expression) >> 3))
    try:
        pattern(expression)
    except RegoError:
        return boolean(0)
    return boolean(1)


def _matches(meter: Meter, compiled: Any, value: str, limit: int) -> list[Any]:
    """Successive matches that do not overlap; an empty one not right behind another."""
    found: list[Any] = []
    end = -1
    if limit == 0:
        return found
    for match in compiled.finditer(value):
        if match.start() == match.end() == end:
            continue
        end = match.end()
        meter.charge(1)
        found.append(match)
        if len(found) == limit:
            break
        if len(found) > MAX_ITEMS:
            raise RegoError(f"there are more than {MAX_ITEMS} matches")
    return found


def _find_n(meter: Meter, expression: Any, value: Any, count: Any) -> Array:
    limit = integer(count, 3)
    compiled = _charge(meter, expression, value)
    return Array(match.group() for match in _matches(meter, compiled, value, limit))


def _find_submatches(meter: Meter, expression: Any, value: Any, count: Any) -> Array:
    limit = integer(count, 3)
    compiled = _charge(meter, expression, value)
    found = _matches(meter, compiled, value, limit)
    meter.charge(len(found) * compiled.groups)
    return Array(
        Array([match.group(), *(group or "" for group in match.groups())]) for match in found
    )


def _split(meter: Meter, expression: Any, value: Any) -> Array:
    compiled = _charge(meter, expression, value)
    if expression and not value:
        return Array([""])
    parts: Array = Array()
    begin, end = 0, 0
    for match in _matches(meter, compiled, value, -1):
        end = match.start()
        if match.end() != 0:
            parts.append(value[begin:end])
        begin = match.end()
    if end != len(value):
        parts.append(value[begin:])
    return parts


def _replace(meter: Meter, value: Any, expression: Any, new: Any) -> str:
    """`$1` and `${name}` in `new` stand for groups, `$$` for a dollar sign."""
    compiled = _charge(meter, expression, value, 1)
    template = text(new, 3)
    out: list[str] = []
    at = 0
    for match in _matches(meter, compiled, value, -1):
        piece = _expanded(template, match)
        meter.charge(len(piece) >> 5)
        out += (value[at : match.start()], piece)
        at = match.end()
    out.append(value[at:])
    return made("".join(out), meter)


def _expanded(template: str, match: Any) -> str:
    out: list[str] = []
    rest = template
    while rest:
        before, dollar, rest = rest.partition("$")
        out.append(before)
        if not dollar:
            break
        if rest.startswith("$"):
            out.append("$")
            rest = rest[1:]
            continue
        name, following = _group_name(rest)
        if name is None:
            out.append("$")
            continue
        out.append(_group(match, name))
        rest = following
    return "".join(out)


def _group_name(rest: str) -> tuple[str | None, str]:
    braced = rest.startswith("{")
    body = rest[1:] if braced else rest
    size = 0
    while size < len(body) and (body[size].isalnum() or body[size] == "_"):
        size += 1
    if not size or (braced and body[size : size + 1] != "}"):
        return None, rest
    return body[:size], body[size + braced :]


def _group(match: Any, name: str) -> str:
    if name.isascii() and name.isdigit():
        index = int(name) if len(name) < 6 else 1 << 20
        return (match.group(index) or "") if index <= match.re.groups else ""
    index = match.re.groupindex.get(name)
    return "" if index is None else match.group(index) or ""


def _template_match(meter: Meter, template: Any, value: Any, start: Any, end: Any) -> Boolean:
    """Parts between the delimiters are expressions; the rest stands for itself."""
    opening, closing = text(start, 3), text(end, 4)
    if len(opening) != 1 or len(closing) != 1:
        raise RegoError("a delimiter must be one character")
    rest, parts = text(template), ["^"]
    while True:
        literal, found, rest = rest.partition(opening)
        if closing in literal:
            raise RegoError("the template's delimiters do not match")
        parts.append(re2.escape(literal))
        if not found:
            break
        inner, rest = _inner(rest, opening, closing)
        parts.append(f"({inner})")
    expression = "".join([*parts, "$"])
    return boolean(_charge(meter, expression, value).search(value))


def _inner(rest: str, opening: str, closing: str) -> tuple[str, str]:
    depth = 1
    for index, character in enumerate(rest):
        depth += (character == opening) - (character == closing)
        if not depth:
            return rest[:index], rest[index + 1 :]
    raise RegoError("the template's delimiters do not match")


FUNCTIONS: Final[Functions] = {
    "regex.find_all_string_submatch_n": (_find_submatches, 3),
    "regex.find_n": (_find_n, 3),
    "regex.is_valid": (_is_valid, 1),
    "regex.match": (_match, 2),
    "regex.replace": (_replace, 3),
    "regex.split": (_split, 2),
    "regex.template_match": (_template_match, 4),
}
