"""What must hold of the text of a module before it is compiled.

The compiler takes more than Rego v1: the older syntax, other packages, unknown functions and
documents that do not exist, which all would be undefined in silence, so that a rule meant to refuse
would not. What stands here is checked on tokens, in time linear in the text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from octelium.policy.cel.reads import Path, minimal
from octelium.policy.rego import builtins
from octelium.policy.rego.tokens import RegoSyntaxError, Token, tokens_of

MAX_TEXT: Final = 20_000
"""Characters."""
MAX_DEPTH: Final = 48
"""Brackets within brackets."""

_KEYWORDS: Final = frozenset(
    {
        "as", "default", "else", "every", "false", "if", "import", "in", "not", "null", "package",
        "some", "true", "with",
    }
)  # fmt: skip
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_INFIX: Final = frozenset(
    {":=", "=", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&", "|", ",", ":"}
)
_V1: Final = "this is not Rego v1"


def unquoted(token: Token) -> str:
    """The text that a string token stands for.

    Raises:
        RegoSyntaxError: it is no JSON string.
    """
    try:
        value = json.loads(token.text)
    except ValueError:
        raise RegoSyntaxError(token.line, f"{token.text[:40]} is no string") from None
    assert isinstance(value, str)
    return value


@dataclass(slots=True)
class Source:
    """What the text of a module says about itself."""

    package: str
    rules: dict[str, set[str]] = field(default_factory=dict)
    """Names that rules define, and how: `complete`, `set`, `object`, `function`."""
    calls: set[str] = field(default_factory=set)
    """Functions of the language that are called anywhere."""
    reads: frozenset[Path] = frozenset()
    """Paths below `ctx` that the module can look at; the empty path is the whole of it."""


def read_source(text: str, package: str, decision: str) -> Source:
    """Check a module that must be of `package` and define `decision`.

    Raises:
        RegoSyntaxError: it may not be used; the error names the line.
    """
    if len(text) > MAX_TEXT:
        problem = f"the module is {len(text)} characters long; at most {MAX_TEXT} are allowed"
        raise RegoSyntaxError(1, problem)
    tokens = tokens_of(text)
    _check_brackets(tokens)
    reader = _Reader(tokens, package)
    source = reader.read()
    kinds = source.rules.get(decision)
    if not kinds:
        raise RegoSyntaxError(1, f"no rule defines {decision}, which the decision is taken from")
    for kind in ("set", "function"):
        if kind in kinds:
            raise RegoSyntaxError(1, f"{decision} is a {kind}: no decision can be taken from it")
    return source


def _check_brackets(tokens: list[Token]) -> None:
    open_: list[Token] = []
    for token in tokens:
        if token.kind != "operator":
            continue
        if token.text in _CLOSING:
            open_.append(token)
            if len(open_) > MAX_DEPTH:
                raise RegoSyntaxError(token.line, f"nested more than {MAX_DEPTH} levels deep")
        elif token.text in _CLOSING.values():
            if not open_ or _CLOSING[open_[-1].text] != token.text:
                raise RegoSyntaxError(token.line, f"{token.text!r} closes nothing")
            open_.pop()
    if open_:
        raise RegoSyntaxError(open_[-1].line, f"{open_[-1].text!r} is not closed")


class _Reader:
    """Goes through the statements of a module."""

    def __init__(self, tokens: list[Token], package: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._source = Source(package)
        self._functions: list[tuple[str, int]] = []

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def _fail(self, problem: str, token: Token | None = None) -> RegoSyntaxError:
        return RegoSyntaxError((token or self._token).line, problem)

    def read(self) -> Source:
        self._package()
        while self._token.kind != "end":
            if self._token.text == ";" and self._token.kind == "operator":
                self._next()
            elif self._is("import"):
                self._import()
            else:
                self._rule()
        self._references()
        return self._source

    def _is(self, word: str) -> bool:
        return self._token.kind == "name" and self._token.text == word

    # --- the head of a module

    def _package(self) -> None:
        wanted = self._source.package
        if not self._is("package"):
            raise self._fail(f"a module begins with its package: package {wanted}")
        self._next()
        first = self._token
        found = self._dotted()
        if found != wanted:
            raise self._fail(f"the package is {found or 'missing'}; it must be {wanted}", first)

    def _dotted(self) -> str:
        """A path such as `a.b["c"]`, written `a.b.c`."""
        if self._token.kind != "name":
            return ""
        parts = [self._next().text]
        while self._token.kind == "operator" and not self._token.gap:
            if self._token.text == "." and self._tokens[self._at + 1].kind == "name":
                self._next()
                parts.append(self._next().text)
            elif self._token.text == "[" and self._tokens[self._at + 1].kind == "string":
                self._next()
                parts.append(self._next().text[1:-1])
                if self._next().text != "]":
                    raise self._fail("unexpected form of a path")
            else:
                break
        return ".".join(parts)

    def _import(self) -> None:
        keyword = self._next()
        path = self._dotted()
        root = path.split(".", 1)[0]
        if not (path == "rego.v1" or root == "input" or path.startswith("future.keywords")):
            raise self._fail(f"import {path} is not offered: there is only input", keyword)
        if self._is("as"):
            self._next()
            self._name_of_import(self._next().text)
        elif root == "input":
            self._name_of_import(path.rsplit(".", 1)[-1])

    def _name_of_import(self, name: str) -> None:
        if name in ("data", "with"):
            raise self._fail(f"nothing can be imported as {name}")

    # --- rules

    def _rule(self) -> None:
        is_default = self._is("default")
        if is_default:
            self._next()
        start = self._token
        if start.kind != "name" or start.text in _KEYWORDS:
            raise self._fail(f"a rule was expected, not {start.text!r}")
        name, kind = start.text, self._head()
        has_value = False
        if self._is("contains") and self._token.gap:
            self._next()
            self._expression()
            kind, has_value = "set", True
        elif self._token.kind == "operator" and self._token.text in (":=", "="):
            self._next()
            self._expression()
            has_value = True
        has_body = self._body()
        if not has_value and not has_body:
            raise self._fail(
                f"{_V1}: rule {name} has neither a value nor a body that begins with if; "
                "elements of a set need contains",
                start,
            )
        while self._is("else"):
            self._else()
        self._source.rules.setdefault(name, set()).add(kind)

    def _head(self) -> str:
        """The reference that a rule defines; what kind of rule that makes it."""
        self._next()
        kind = "complete"
        while self._token.kind == "operator" and not self._token.gap:
            if self._token.text == ".":
                self._next()
                if self._next().kind != "name":
                    raise self._fail("a name was expected")
                kind = "object"
            elif self._token.text == "[":
                self._skip()
                kind = "object"
            elif self._token.text == "(":
                self._skip()
                kind = "function"
            else:
                break
        return kind

    def _body(self) -> bool:
        """A body, if one follows; only one that begins with `if` may."""
        if self._is("if"):
            self._next()
            if self._token.text == "{" and self._token.kind == "operator":
                self._skip()
                self._more()
            else:
                self._expression()
            self._no_old_body()
            return True
        self._no_old_body()
        return False

    def _no_old_body(self) -> None:
        if self._token.text == "{" and self._token.kind == "operator":
            raise self._fail(f"{_V1}: a body needs if before its {{")

    def _else(self) -> None:
        keyword = self._next()
        has_value = False
        if self._token.kind == "operator" and self._token.text in (":=", "="):
            self._next()
            self._expression()
            has_value = True
        if not self._body() and not has_value:
            raise self._fail(f"{_V1}: else needs a value, or a body that begins with if", keyword)

    # --- expressions, as far as to know where they end

    def _expression(self) -> None:
        """Operands and infix operators; modifiers `with` behind them."""
        every = False
        while True:
            while self._is("not") or self._is("some") or self._is("every") or self._minus():
                every = every or self._is("every")
                self._next()
            self._operand()
            if every and self._token.text == "{" and self._token.kind == "operator":
                self._skip()
            if not self._continues():
                return
            self._next()

    def _more(self) -> None:
        """What may follow an operand that was skipped already."""
        if self._continues():
            self._next()
            self._expression()

    def _minus(self) -> bool:
        return self._token.kind == "operator" and self._token.text == "-"

    def _continues(self) -> bool:
        token = self._token
        if token.kind == "operator":
            return token.text in _INFIX
        return token.kind == "name" and token.text in ("in", "with", "as")

    def _operand(self) -> None:
        token = self._token
        if token.kind == "operator" and token.text in _CLOSING:
            self._skip()
        elif token.kind in ("name", "string", "raw", "number"):
            self._next()
        else:
            raise self._fail(f"unexpected {token.text!r}" if token.text else "unexpected end")
        while self._token.kind == "operator" and not self._token.gap:
            if self._token.text == ".":
                self._next()
                self._next()
            elif self._token.text in ("[", "("):
                self._skip()
            else:
                break

    def _skip(self) -> None:
        """Go past a pair of brackets, which are known to match."""
        depth = 0
        while True:
            token = self._next()
            if token.kind == "operator":
                depth += (token.text in _CLOSING) - (token.text in _CLOSING.values())
                if not depth:
                    return

    # --- names

    def _references(self) -> None:
        """Look at calls, modifiers and documents all over the module."""
        reads: set[Path] = set()
        for index, token in enumerate(self._tokens):
            before = self._tokens[index - 1] if index else None
            is_field = before is not None and before.text == "." and not token.gap
            if token.kind == "operator" and token.text == "(" and not token.gap:
                self._call(index)
            elif token.kind == "name" and not is_field:
                if token.text == "with" and self._tokens[index + 1].text != "input":
                    raise self._fail("with may replace nothing but input", token)
                if token.text == "data":
                    self._data(index)
                if token.text == "input":
                    reads |= self._input(index)
        self._source.reads = minimal(reads)

    def _call(self, index: int) -> None:
        """A call at the bracket with this index."""
        names: list[str] = []
        at = index - 1
        while at > 0 and self._tokens[at].kind == "name":
            names.insert(0, self._tokens[at].text)
            if self._tokens[at - 1].text != "." or self._tokens[at].gap:
                break
            at -= 2
        name = ".".join(names)
        if not names or name in _KEYWORDS or name == "contains":
            return
        own = name.removeprefix(f"data.{self._source.package}.")
        if "function" in self._source.rules.get(own, ()):
            return
        problem = builtins.refusal(name)
        if problem is not None:
            raise self._fail(problem, self._tokens[at])
        self._source.calls.add(name)

    def _input(self, index: int) -> set[Path]:
        """The path that `input` leads along, as far as it is written out."""
        path: list[str] = []
        at = index + 1
        while self._tokens[at].kind == "operator" and not self._tokens[at].gap:
            opening, key, closing = self._tokens[at : at + 3]
            if opening.text == "." and key.kind == "name" and not key.gap:
                path.append(key.text)
                at += 2
            elif opening.text == "[" and key.kind == "string" and closing.text == "]":
                path.append(unquoted(key))
                at += 3
            else:
                break
        if path[:1] == ["attrs"]:
            return set()
        return {tuple(path[1:])}

    def _data(self, index: int) -> None:
        """`data` may lead to the module's own rules only."""
        path = [part for name in self._source.package.split(".") for part in (".", name)]
        texts = [token.text for token in self._tokens[index + 1 : index + 2 + len(path)]]
        if texts[:-1] != path or texts[-1:] != ["."]:
            raise self._fail("data holds nothing but the module's own rules", self._tokens[index])
