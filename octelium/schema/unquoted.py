"""Texts in YAML that lack quotes, and the line that says what is meant.

A plain scalar begins with none of the indicators of YAML and holds no `: `
(https://yaml.org/spec/1.2.2/, 7.3.3); expressions of CEL often do. What is proposed has been tried:
with it in its place the parser gives back the text as it stands. Where the text may be meant in
another way, nothing is proposed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 1000
"""Characters of a line that is looked at, and of a text that is proposed."""
_DEEPEST: Final = 100
_BREAK: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_ENTRY: Final = re.compile(r"""(?:"[^"\\]*"|'[^']*'|[A-Za-z_][\w./-]*)[ \t]*:[ \t]+""")
_BEFORE: Final = re.compile(r"[ \t]*(?:-[ \t]+)*")
_SPACE: Final = re.compile(r"[ \t]*")
_QUOTED: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_COLON: Final = re.compile(r":(?=[ \t]|\Z)")
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSING: Final = frozenset(_PAIRS.values())
_INDICATORS: Final = frozenset("!&*%@`")
_QUOTES: Final = frozenset("\"'")
_CLOSED: Final = _QUOTES | frozenset("[{")
_NAME: Final = re.compile(r"[*&][\w-]*|!!.*|!<.*")
"""What may be meant as an alias, an anchor or a tag."""
_TEXTS: Final = frozenset({"description", "displayName", "match"})
"""Fields that hold texts and nothing else, wherever they stand."""


class Rewrite(NamedTuple):
    """A text with quotes around it."""

    start: int
    """Where the text begins."""
    column: int
    """The same within its line, from 0."""
    value: str
    """The text that is meant."""
    quoted: str
    """The same in YAML."""
    entry: str
    """With the key that stands before it, if there is one."""
    reason: str
    """Why it is not read as it stands."""

    def within(self, text: str) -> str:
        """The whole text with the quotes."""
        return text[: self.start] + self.quoted + text[self.start + len(self.value) :]


class _Text(NamedTuple):
    """A part of a line that may lack quotes: from `start`, up to `end`; its entry from `entry`."""

    entry: int
    start: int
    end: int
    key: str


def span_of(text: str, number: int) -> tuple[int, int]:
    """Where a line of a text begins and ends; lines count from 0, as the parser counts them."""
    start = 0
    for _ in range(number):
        found = _BREAK.search(text, start)
        if found is None:
            return len(text), len(text)
        start = found.end()
    found = _BREAK.search(text, start)
    return start, len(text) if found is None else found.start()


def rewrite(text: str, line: int, column: int, loader: Any) -> Rewrite | None:
    """What to write in place of the text that the parser stumbles over at a place of `text`.

    Line and column count from 0; `loader` is the parser of PyYAML. None if nothing lacks quotes
    there, or if it is not clear what is meant.
    """
    start, end = span_of(text, line)
    shown = text[start:end]
    if len(shown) > _LONGEST or not shown.isprintable():
        return None
    for part in _texts(shown, column):
        value = shown[part.start : part.end]
        quoted = quote(value)
        tried = text[: start + part.start] + quoted + shown[part.end :] + "\n"
        if _says(tried, line, part.start, value, loader):
            entry = shown[part.entry : part.start] + quoted
            return Rewrite(start + part.start, part.start, value, quoted, entry, _reason(value))
    return None


def quote(value: str) -> str:
    """A printable text as a quoted scalar; in the quotes that it holds none of, if possible."""
    if "'" in value and '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "''") + "'"


def _texts(line: str, column: int) -> Iterator[_Text]:
    """The parts of a line that hold the column, the innermost first, if they need quotes."""
    before = _match_end(_BEFORE, line, 0)
    found = _entry(line, before)
    if not found.key and "-" not in line[:before]:
        return
    outer = _trimmed(line, found, _comment(line, found.start))
    if outer is None:
        return
    inner = _in_collection(line, outer, column)
    for part in (*reversed(inner), outer):
        if part.start <= column <= part.end and _needs_quotes(line, part):
            yield part


def _entry(line: str, start: int) -> _Text:
    key = _ENTRY.match(line, start)
    if key is None:
        return _Text(start, start, len(line), "")
    return _Text(start, key.end(), len(line), key[0].partition(":")[0].strip(" \t\"'"))


def _trimmed(line: str, part: _Text, end: int | None) -> _Text | None:
    if end is None:
        return None
    end = len(line[:end].rstrip())
    return part._replace(end=end) if end > part.start else None


def _comment(line: str, start: int) -> int | None:
    """Where a line's comment begins, or its end; None if it is not clear whether there is one."""
    if " #" not in line[start:] and "\t#" not in line[start:]:
        return len(line)
    for at, _ in _open(line, start):
        if at < 0:
            return None
        if line[at] == "#" and line[at - 1] in " \t":
            return at
    return len(line)


def _open(line: str, start: int) -> Iterator[tuple[int, str]]:
    """The characters outside of quotes, with the brackets that are open before each of them.

    Ends with index -1 if a quote or bracket does not match.
    """
    open_brackets = ""
    at = start
    while at < len(line):
        character = line[at]
        if character in _QUOTES:
            quoted = _QUOTED.match(line, at)
            if quoted is None:
                yield -1, open_brackets
                return
            at = quoted.end()
            continue
        if character in _CLOSING:
            if not open_brackets.endswith(character):
                yield -1, open_brackets
                return
            open_brackets = open_brackets[:-1]
        yield at, open_brackets
        if character in _PAIRS:
            open_brackets += _PAIRS[character]
            if len(open_brackets) > _DEEPEST:
                yield -1, open_brackets
                return
        at += 1
    if open_brackets:
        yield -1, open_brackets


def _closing(line: str, part: _Text) -> int | None:
    """Where what a text begins with, a quote or bracket, is closed again on the same line."""
    if line[part.start] in _QUOTES:
        quoted = _QUOTED.match(line, part.start)
        return quoted.end() if quoted is not None and quoted.end() <= part.end else None
    for at, brackets in _open(line[: part.end], part.start):
        if at < 0:
            return None
        if at > part.start and not brackets and line[at] in "]}":
            return at + 1
    return None


def _in_collection(line: str, outer: _Text, column: int) -> list[_Text]:
    """The entries and items that hold the column, outermost first, if a list or object in brackets
    is all of the text.
    """
    found: list[_Text] = []
    part = outer
    while line[part.start] in "[{" and _closing(line, part) == part.end:
        inside = part.start + 1
        ends = [
            at
            for at, brackets in _open(line[: part.end - 1], inside)
            if at >= 0 and not brackets and line[at] == ","
        ]
        starts = [inside, *(end + 1 for end in ends)]
        for start, end in zip(starts, [*ends, part.end - 1], strict=True):
            if start <= column <= end:
                break
        else:
            break
        entry = _entry(line, _match_end(_SPACE, line, start))
        inner = _trimmed(line, entry, end) if entry.start < end else None
        if inner is None:
            break
        found.append(inner)
        part = inner
    return found


def _reason(value: str) -> str:
    first = value[0]
    if first in _INDICATORS:
        return f"a text that begins with {first} needs quotes"
    if first in _CLOSED:
        return f"the text goes on after its closing {'quote' if first in _QUOTES else 'bracket'}"
    return 'a text that holds ": " needs quotes'


def _needs_quotes(line: str, part: _Text) -> bool:
    """Whether a text cannot be read without quotes, and can be meant in one way only."""
    first = line[part.start]
    if first in _INDICATORS:
        return _NAME.fullmatch(line, part.start, part.end) is None
    if first not in _CLOSED:
        return _has_colon(line, part)
    closing = _closing(line, part)
    if closing is None or closing == part.end:
        return False
    rest = line[closing : part.end]
    if first in _QUOTES and (rest[0] in "\"'_" or rest[0].isalnum()):
        return False  # a quote within a word: which quotes belong to the text?
    if first in _QUOTES and _QUOTED.sub("", rest).count(first):
        return False
    return rest.lstrip()[0] not in ",:]}"


def _has_colon(line: str, part: _Text) -> bool:
    """Whether a text holds `: `, after which the parser sees a value, and what precedes is no key.

    No key is what stands in brackets or quotes, or after the question mark of a conditional.
    """
    if _COLON.search(line, part.start, part.end) is None:
        return False
    if part.key in _TEXTS:
        return True
    conditional = False
    for at, brackets in _open(line[: part.end], part.start):
        if at < 0:
            return False
        if brackets:
            continue
        if line[at] == "?":
            conditional = True
        elif _COLON.match(line, at, part.end):
            return conditional
    return True


def _match_end(pattern: re.Pattern[str], line: str, start: int) -> int:
    found = pattern.match(line, start)
    assert found is not None  # the pattern matches nothing at all, too
    return found.end()


def _says(text: str, line: int, column: int, value: str, loader: Any) -> bool:
    """Whether the parser finds the value as one scalar at this place."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            mark: Any = event.start_mark
            if mark.line > line or depth > _DEEPEST + 1:
                return False
            if isinstance(event, yaml.ScalarEvent) and (mark.line, mark.column) == (line, column):
                return event.value == value and event.tag is None
    except yaml.YAMLError:
        return False
    return False
