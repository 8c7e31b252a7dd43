"""Rego text in tokens.

https://www.openpolicyagent.org/docs/policy-reference#grammar: identifiers, JSON strings, raw
strings between backquotes, numbers and operators, with `#` comments to the end of a line.
"""

from __future__ import annotations

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


class Token(NamedTuple):
    """One token; `kind` is `name`, `string`, `raw`, `number` or `operator`, the last one `end`."""

    kind: str
    text: str
    line: int
    """Counted from 1."""
    gap: bool
    """Something separates it from the token before."""


class RegoSyntaxError(CompileError):
    """A module that cannot be used; the text begins with the line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


def tokens_of(text: str) -> list[Token]:
    """The tokens of a module, with one of kind `end` behind them.

    Raises:
        RegoSyntaxError: something is no token.
    """
    found: list[Token] = []
    position, line, gap = 0, 1, True
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise RegoSyntaxError(line, _unreadable(text, position))
        kind, piece = str(match.lastgroup), match.group()
        if kind == "template":
            raise RegoSyntaxError(line, "template strings are not offered; use sprintf or concat")
        if kind in ("space", "line"):
            gap = True
        else:
            found.append(Token(kind, piece, line, gap))
            gap = False
        line += piece.count("\n")
        position = match.end()
    found.append(Token("end", "", line, gap=True))
    return found


def _unreadable(text: str, position: int) -> str:
    character = text[position]
    if character in '"`':
        return "a string does not end"
    return f"unexpected character {character!r}"
