"""Rego text in tokens.

https://www.openpolicyagent.org/docs/policy-reference#grammar: identifiers, JSON strings, raw
strings between backquotes, numbers and operators, with `#` comments to the end of a line.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from octelium.policy.cel.errors import CompileError

_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r]+|\#[^\n]*)
    | (?P<line>\n)
    | (?P<template>\$["`])
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<raw>`[^`]*`)
    | (?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<operator>:=|==|!=|<=|>=|[=<>+\-*/%&|()\[\]{},;:.])
    """,
    re.VERBOSE,
)

MAX_TEXT: Final = 20_000
"""Characters of a module."""


class Token(NamedTuple):
    """One token; `kind` is `name`, `string`, `raw`, `number` or `operator`, the last one `end`."""

    kind: str
    text: str
    line: int
    """Counted from 1."""
    gap: bool
    """Something separates it from the token before."""
    breaks: bool
    """It stands on another line than the token before."""


class RegoSyntaxError(CompileError):
    """A module that cannot be used; the text begins with the line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


def tokens_of(text: str) -> list[Token]:
    """The tokens of a module, with one of kind `end` behind them.

    Raises:
        RegoSyntaxError: something is no token, or the text is too long.
    """
    found: list[Token] = []
    position, line, gap, breaks = 0, 1, True, True
    if len(text) > MAX_TEXT:
        problem = f"the module is {len(text)} characters long; at most {MAX_TEXT} are allowed"
        raise RegoSyntaxError(1, problem)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise RegoSyntaxError(line, _unreadable(text, position))
        kind, piece = str(match.lastgroup), match.group()
        if kind == "template":
            raise RegoSyntaxError(line, "template strings are not offered; use sprintf or concat")
        if kind in ("space", "line"):
            gap, breaks = True, breaks or kind == "line"
        else:
            found.append(Token(kind, piece, line, gap, breaks))
            gap = breaks = False
        line += piece.count("\n")
        position = match.end()
    found.append(Token("end", "", line, gap=True, breaks=True))
    return found


def _unreadable(text: str, position: int) -> str:
    character = text[position]
    if character in '"`':
        return "a string does not end"
    return f"unexpected character {character!r}"


def string_value(token: Token) -> str:
    """What a token of kind `string` or `raw` stands for.

    Raises:
        RegoSyntaxError: it has escapes that JSON does not know, or half of a surrogate pair.
    """
    if token.kind == "raw":
        return token.text[1:-1]
    try:
        value = json.loads(token.text)
        value.encode()
    except ValueError:
        raise RegoSyntaxError(token.line, f"{token.text[:40]} is no string") from None
    assert isinstance(value, str)
    return value


def words(tokens: list[Token]) -> frozenset[str]:
    """Every name in a module, and what lies between the dots of its strings.

    Names of functions are made of nothing else, since `time["now_ns"]` is `time.now_ns`.

    Raises:
        RegoSyntaxError: a string stands for nothing.
    """
    found: set[str] = set()
    for token in tokens:
        if token.kind == "name":
            found.add(token.text)
        elif token.kind in ("string", "raw"):
            found.update(string_value(token).split("."))
    return frozenset(found)


def input_paths(tokens: list[Token]) -> frozenset[tuple[str, ...]]:
    """Where a module may look below `input`: along which constant names it goes on.

    A path means all below it; the empty one stands for `input` as a whole.
    """
    found: set[tuple[str, ...]] = set()
    for index, token in enumerate(tokens):
        is_field = index > 0 and tokens[index - 1].text == "." and not token.gap
        if token.kind == "name" and token.text == "input" and not is_field:
            path: list[str] = []
            at = index + 1
            while tokens[at].text == "." and not tokens[at].gap and tokens[at + 1].kind == "name":
                path.append(tokens[at + 1].text)
                at += 2
            found.add(tuple(path))
    return frozenset(found)
