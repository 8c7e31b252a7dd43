"""Regular expressions of RE2, which search in time linear in the text.

https://github.com/google/re2/wiki/Syntax; OPA's are the same language. Each character may cost as
much as the automaton has states (https://swtch.com/~rsc/regexp/regexp3.html), so a search is
charged for both.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import re2

from octelium.policy.rego.functions.arguments import MAX_ITEMS, integer, made, text
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.values import Array, Boolean, Meter, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_MAX_PATTERN: Final = 10_000
_SHORT: Final = 512
"""Characters of a pattern that is made in a few milliseconds."""
_SMALL: Final = 256 * 1024
"""Bytes of an automaton that is made in a millisecond or two."""
_LARGE: Final = 4 * 1024 * 1024
"""Bytes of any other; it may take a twentieth of a second, so none is made in an event loop."""
_LARGE_STEPS: Final = 50_000
_FAILED: Final = 1500
"""Steps for a pattern that was not made; it may have taken as long as another one."""
_MATCH: Final = 8
"""Steps for each match that is told."""
_MAX_CACHED: Final = 32 * 1024 * 1024
"""Bytes that remembered automata may take, with what searches add to them."""

PATTERN_ARGUMENT: Final = {
    "regex.find_all_string_submatch_n": 0,
    "regex.find_n": 0,
    "regex.match": 0,
    "regex.replace": 1,
    "regex.split": 0,
}
"""Which argument of a function is a pattern, counted from 0."""


class _Cache:
    """Compiled expressions, those used last; bounded by the memory that each may take."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, bool], tuple[Any, int]] = OrderedDict()
        self.size = 0
        """Bytes that they may take."""

    def get(self, expression: str, captures: bool) -> Any:
        """A compiled expression, or None."""
        key = expression, captures
        known = self._found.get(key)
        if known is None:
            return None
        self._found.move_to_end(key)
        return known[0]

    def put(self, expression: str, captures: bool, compiled: Any, size: int) -> None:
        """Keep one; others go if there is no room."""
        self._found[expression, captures] = compiled, size
        self.size += size
        while self.size > _MAX_CACHED:
            _, (_, freed) = self._found.popitem(last=False)
            self.size -= freed


_CACHE: Final = _Cache()


def pattern(expression: str, meter: Meter, *, captures: bool = False) -> Any:
    """A compiled expression, charged if it is not remembered.

    Only one that `captures` tells about the groups of a match; the others search faster.

    Raises:
        RegoBudgetError: making it takes more than `meter` allows.
        RegoError: it is none, or takes too much memory.
    """
    if len(expression) > _MAX_PATTERN:
        raise RegoError(f"a pattern has more than {_MAX_PATTERN} characters")
    compiled = _CACHE.get(expression, captures)
    if compiled is not None:
        return compiled
    meter.charge(16 + 4 * len(expression))
    try:
        compiled, size = _made(expression, meter, captures=captures)
    except RegoBudgetError:
        raise
    except RegoError:
        meter.charge(_FAILED)
        raise
    meter.charge(compiled.programsize >> 2)
    _CACHE.put(expression, captures, compiled, size)
    return compiled


def _made(expression: str, meter: Meter, *, captures: bool) -> tuple[Any, int]:
    """An expression, and the bytes that it may take."""
    if len(expression) <= _SHORT:
        compiled = _compiled(expression, _SMALL, captures=captures)
        if compiled is not None:
            return compiled, _SMALL
        meter.charge(_FAILED)
    meter.charge(_LARGE_STEPS)
    compiled = _compiled(expression, _LARGE, captures=captures)
    if compiled is None:
        raise RegoError(f"{expression[:60]!r} takes too much memory")
    return compiled, _LARGE


def _compiled(expression: str, memory: int, *, captures: bool) -> Any:
    """None if `memory` bytes do not suffice."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = memory
    try:
        return re2.compile(expression, options)
    except (re2.error, ValueError) as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        if reason.startswith("pattern too large"):
            return None
        raise RegoError(f"{expression[:60]!r} is no regular expression of RE2: {reason}") from None


def charge_search(meter: Meter, compiled: Any, value: str) -> Any:
    """Charge for one search through all of `value`, or for all that do not overlap."""
    meter.charge(1 + (len(value) >> 6) + (len(value) * compiled.programsize >> 8))
    return compiled


def _charge(
    meter: Meter, expression: Any, value: Any, position: int = 2, *, captures: bool = False
) -> Any:
    """The compiled pattern, after both were charged."""
    meter.charge(1 + (len(text(expression)) >> 3) + (len(text(value, position)) >> 6))
    return charge_search(meter, pattern(expression, meter, captures=captures), value)


def _match(meter: Meter, expression: Any, value: Any) -> Boolean:
    return boolean(_charge(meter, expression, value).search(value))


def _is_valid(meter: Meter, expression: Any) -> Boolean:
    if type(expression) is not str:
        return boolean(0)
    meter.charge(1 + (len(expression) >> 3))
    try:
        pattern(expression, meter)
    except RegoBudgetError:
        raise
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
        meter.charge(_MATCH + compiled.groups)
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
    compiled = _charge(meter, expression, value, captures=True)
    found = _matches(meter, compiled, value, limit)
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
    compiled = _charge(meter, expression, value, 1, captures=True)
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
    meter.charge(len(text(template)) >> 2)
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
