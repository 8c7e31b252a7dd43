"""Sample values: texts that match, values that differ, values of a size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_METHODS: Final = ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
_TEXTS: Final = ("x", "other", "")
_MAX_SIZE: Final = 1500

_SIMPLE: Final = re.compile(
    r"\\([^A-Za-z0-9])|\.([*+?])?|\[([^\]\\^-])[^\]]*\]([*+?])?|([^\\.\[\](){}*+?|^$])"
)
"""One piece of a plain pattern: an escaped sign, any character, a class of characters, a sign."""


def others(path: Sequence[str], values: Sequence[object]) -> list[object]:
    """Values that may stand at a path and are none of `values`, of the type of the first."""
    first = values[0] if values else ""
    made: list[object]
    match first:
        case bool():
            made = [not first]
        case int() | float():
            made = [first + 1, 0]
        case str() if path[-1:] == ("method",):
            made = list(_METHODS)
        case str() if path[-1:] == ("path",):
            made = ["/", "/other", "/x"]
        case str() if path[-1:] == ("state",):
            made = ["REJECTED", "ACTIVE"]
        case str() if path[-2:] == ("status", "type"):
            made = ["CLIENT", "CLIENTLESS"]
        case list():
            made = [["x"], []]
        case dict():
            made = [{"x": "x"}, {}]
        case _:
            made = list(_TEXTS)
    return [value for value in made if not any(_same(value, known) for known in values)]


def _same(left: object, right: object) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def matching(function: str, pattern: str, current: object) -> list[object]:
    """Texts of which a test of text is true: the pattern itself, and the current text with it."""
    text = current if isinstance(current, str) else ""
    match function:
        case "startsWith":
            return [pattern, pattern + text]
        case "endsWith":
            return [text + pattern, pattern]
        case "contains":
            return [text + pattern, pattern, f"/{pattern}"]
    made = _sample(pattern)
    return [] if made is None else [made]


def _sample(pattern: str) -> str | None:
    """A text that a regular expression matches; None unless that is plain to see."""
    made = ""
    position, end = 0, len(pattern)
    if pattern.startswith("^"):
        position = 1
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        end -= 1
    while position < end:
        match = _SIMPLE.match(pattern, position, end)
        if match is None:
            return None
        sign, repeated, member, many, plain = match.groups()
        if sign or plain:
            made += sign or plain
        elif member:
            made += "" if many in ("*", "?") else member
        else:
            made += "" if repeated in ("*", "?") else "x"
        position = match.end()
    return made


def sized(current: object, size: int) -> list[object]:
    """Values of a size: of the type of the current one, or a text."""
    if not 0 <= size <= _MAX_SIZE:
        return []
    if isinstance(current, list):
        return [[*current[:size], *("x" for _ in range(size - len(current)))]]
    if isinstance(current, dict):
        return [dict(_members(current, size))]
    text = current if isinstance(current, str) else ""
    return [text[:size] + "x" * (size - len(text))]


def _members(current: dict[object, object], size: int) -> Iterator[tuple[object, object]]:
    kept = list(current.items())[:size]
    yield from kept
    for number in range(size - len(kept)):
        yield f"x-{number}", "x"


def beside(limit: object, operator: str, *, want: bool) -> Sequence[object]:
    """Values of which `value operator limit` is true, or false."""
    wanted = operator if want else _OPPOSITES[operator]
    if isinstance(limit, bool):
        return [limit, not limit]
    if isinstance(limit, int | float):
        return {"_<_": [limit - 1], "_>_": [limit + 1]}.get(wanted, [limit])
    if isinstance(limit, str):
        return {"_<_": [""], "_>_": [f"{limit}x"]}.get(wanted, [limit])
    return []


_OPPOSITES: Final = {"_<_": "_>=_", "_<=_": "_>_", "_>_": "_<=_", "_>=_": "_<_"}
