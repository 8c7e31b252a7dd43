"""What is wrong with YAML that cannot be read: where, why, and what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from octelium.schema.json_reader import Problem
from octelium.schema.unquoted import rewrite, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDEST: Final = 100
"""Characters of an excerpt's line."""
_DOCUMENT_START: Final = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_CONFIDENTIAL: Final = re.compile(r"""\bkind["']?[ \t]*:\s*["']?(?:Secret|Config)\b""")
_QUOTED_START: Final = re.compile(
    r"""(?:[:,{\[-]\s+|[{\[])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')[ \t]*(?=[^\s,}\]:#])"""
)


class Fault(NamedTuple):
    """A problem of the YAML itself."""

    line: int
    """Counts from 1."""
    problem: Problem
    column: int = 0
    """Counts from 1; 0 if it is not known."""
    excerpt: str = ""
    """The line, and a mark below the column."""


def syntax_fault(
    error: yaml.YAMLError | UnicodeEncodeError, text: str, first_line: int, loader: Any
) -> tuple[Fault, int | None, str | None]:
    """What a parser's error means, and after which character to look for the next document.

    With that comes `text` as it is meant, if a text in it lacks quotes. `first_line` is the number
    of the first line of `text`.
    """
    if isinstance(error, UnicodeEncodeError):
        line = first_line + text.count("\n", 0, error.start)
        return Fault(line, Problem((), "the text holds half of a surrogate pair", "")), None, None
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        position = getattr(error, "position", None)
        passed = text.encode().count(b"\n", 0, position) if isinstance(position, int) else 0
        reason = getattr(error, "reason", "") or "cannot be read"
        problem = Problem((), f"not YAML: {reason}", "save the file as UTF-8 text")
        return Fault(first_line + passed, problem), None, None
    lines = text.split("\n")
    context = error.context_mark.line if error.context_mark is not None else mark.line
    near = [lines[at] for at in (mark.line, context, mark.line - 1) if 0 <= at < len(lines)]
    what = " ".join(part for part in (error.context, error.problem) if part)
    problem = Problem((), f"not YAML: {what}", _remedy(what, near))
    fault = _placed(Fault(first_line + mark.line, problem), text, mark, mark.column)
    found = rewrite(text, mark.line, mark.column, loader) if fault.excerpt else None
    if found is None:
        return fault, mark.index, None
    remedy = f"put the whole text in quotes: {found.entry}"
    problem = Problem((), f"not YAML: {found.reason}", remedy)
    fault = _placed(fault._replace(problem=problem), text, mark, found.column)
    return fault, mark.index, found.within(text)


def remedied(fault: Fault, text: str, mark: Any, loader: Any) -> tuple[Fault, str | None]:
    """The fault with its place and, where the text at the mark lacks quotes, what to write.

    Its problem shows a part of the text. With it comes `text` as it is meant, if that is known.
    """
    fault = _placed(fault, text, mark, mark.column)
    problem = fault.problem
    if not fault.excerpt:
        problem = problem._replace(problem="is read as a tag or alias of YAML")
        return fault._replace(problem=problem), None
    found = rewrite(text, mark.line, mark.column, loader)
    if found is None:
        return fault, None
    problem = problem._replace(remedy=f"{problem.remedy}: {found.entry}")
    return fault._replace(problem=problem), found.within(text)


def _placed(fault: Fault, text: str, mark: Any, column: int) -> Fault:
    """With the column, and with the line unless it may hold what nobody else should read."""
    start, end = span_of(text, mark.line)
    fault = fault._replace(column=column + 1)
    if _is_confidential(text, start):
        return fault
    return fault._replace(excerpt=_excerpt(text[start:end], column))


def _excerpt(line: str, column: int) -> str:
    """A line, or the part of it around the column, and a mark in the line below."""
    shown = line.rstrip()
    first = min(len(line) - len(line.lstrip()), column)
    if column - first > _WIDEST * 3 // 4:
        first = column - _WIDEST // 2
    shown = shown[first : first + _WIDEST].replace("\t", " ")
    return f"{shown}\n{' ' * (column - first)}^" if shown else ""


def _is_confidential(text: str, start: int) -> bool:
    """Whether the document around a place declares a Secret or a Config."""
    before = [found.start() for found in _DOCUMENT_START.finditer(text, 0, start)]
    after = _DOCUMENT_START.search(text, start + 1)
    begin, end = before[-1] if before else 0, len(text) if after is None else after.start()
    return _CONFIDENTIAL.search(text, begin, end) is not None


def _remedy(problem: str, near: Sequence[str]) -> str:
    """What is likely to help, as far as the lines around the error tell."""
    if any("\t" in line[: len(line) - len(line.lstrip())] for line in near):
        return "indent with spaces, not with tabs"
    if any(_QUOTED_START.search(line) for line in near):
        return (
            "a text that begins with a quote ends at the next one; put the whole value in the "
            "other kind of quotes"
        )
    if "Unicode character escape" in problem:
        return "write the character itself instead of its \\u escape"
    if "mapping values" in problem:
        return 'check the indentation; put a value that contains ": " in quotes'
    if "cannot start any token" in problem or "alphabetic or numeric" in problem:
        return "put a value that begins with one of @ ` % & * ! in quotes"
    return "check the indentation, quotes and brackets of this line and of those before it"
