"""Parsing of terms and bodies.

Operators bind, from loosest to tightest: `in`, comparisons, `|`, `&`, `+ -`, `* / %`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal

from octelium.policy.rego import ast
from octelium.policy.rego.tokens import RegoSyntaxError, string_value
from octelium.policy.rego.values import FALSE, MAX_INT, TRUE, number

if TYPE_CHECKING:
    from octelium.policy.rego.tokens import Token

MAX_DEPTH: Final = 32
"""Terms and bodies within each other."""

KEYWORDS: Final = frozenset(
    {
        "as", "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null",
        "package", "some", "true", "with",
    }
)  # fmt: skip

_LEVELS: Final[tuple[dict[str, str], ...]] = (
    {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"},
    {"|": "or"},
    {"&": "and"},
    {"+": "plus", "-": "minus"},
    {"*": "mul", "/": "div", "%": "rem"},
)
_CONSTANTS: Final = {"true": TRUE, "false": FALSE, "null": None}


class TermParser:
    """A parser at a place in a list of tokens; statements of modules are added by `parser`."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._no_pipe = False
        """`|` ends a term here, because it begins the body of a comprehension."""

    # --- tokens

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    def next(self) -> Token:
        """Take the next token."""
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def is_name(self, word: str) -> bool:
        """Whether the next token is this word."""
        return self.token.kind == "name" and self.token.text == word

    def is_operator(self, text: str) -> bool:
        """Whether the next token is this operator."""
        return self.token.kind == "operator" and self.token.text == text

    def accept(self, text: str) -> bool:
        """Take the next token if it is this operator."""
        found = self.is_operator(text)
        self._at += found
        return found

    def expect(self, text: str) -> None:
        """Take the next token, which must be this operator."""
        if not self.accept(text):
            raise self.unexpected(repr(text))

    def name(self) -> str:
        """Take a word, which may be a keyword."""
        if self.token.kind != "name":
            raise self.unexpected("a name")
        return self.next().text

    def identifier(self) -> str:
        """Take a word that is no keyword."""
        if self.token.kind != "name" or self.token.text in KEYWORDS - {"contains"}:
            raise self.unexpected("a name")
        return self.next().text

    def string(self) -> str:
        """Take a string."""
        if self.token.kind not in ("string", "raw"):
            raise self.unexpected("a string")
        return string_value(self.next())

    def error(self, problem: str) -> RegoSyntaxError:
        """An error at the next token."""
        return RegoSyntaxError(self.token.line, problem)

    def unexpected(self, wanted: str) -> RegoSyntaxError:
        """The next token is not what it has to be."""
        found = repr(self.token.text[:40]) if self.token.text else "the end"
        return self.error(f"{wanted} was expected, not {found}")

    # --- bodies

    def body(self) -> ast.Body:
        """`{ … }`."""
        self.expect("{")
        return self._statements("}")

    def _statements(self, closing: str) -> ast.Body:
        no_pipe, self._no_pipe = self._no_pipe, False
        found = [self.statement()]
        while not self.accept(closing):
            if not self.accept(";") and not self.token.breaks:
                raise self.unexpected(f"a new line, ';' or {closing!r}")
            if self.accept(closing):
                break
            found.append(self.statement())
        self._no_pipe = no_pipe
        return tuple(found)

    def statement(self) -> ast.Statement:
        """One expression with its modifiers."""
        line = self.token.line
        expression: ast.Not | ast.Some | ast.SomeIn | ast.Every | ast.Test | ast.Unify
        if self.is_name("some"):
            expression = self._some()
        elif self.is_name("not"):
            self.next()
            if any(map(self.is_name, ("not", "some", "every"))):
                raise self.unexpected("an expression")
            expression = ast.Not(self._plain())
        else:
            expression = self._plain()
        modifiers: list[ast.With] = []
        while self.is_name("with"):
            modifiers.append(self._with())
        return ast.Statement(expression, tuple(modifiers), line)

    def _plain(self) -> ast.Every | ast.Test | ast.Unify:
        if self.is_name("every"):
            return self._every()
        left = self.term()
        if self.accept(":="):
            return ast.Unify(left, self.term(), declares=True)
        if self.accept("="):
            return ast.Unify(left, self.term(), declares=False)
        return ast.Test(left)

    def _some(self) -> ast.Some | ast.SomeIn:
        self.next()
        found = [self._relation()]
        while self.accept(","):
            found.append(self._relation())
        if self.is_name("in"):
            self.next()
            if len(found) > 2:
                raise self.error("some … in takes a value, or a key and a value")
            return ast.SomeIn(found[0] if len(found) == 2 else None, found[-1], self._relation())
        names = [term.name for term in found if isinstance(term, ast.Var)]
        if len(names) != len(found):
            raise self.error("some needs names, or in and a collection")
        return ast.Some(tuple(names))

    def _every(self) -> ast.Every:
        self.next()
        first, second = self.identifier(), None
        if self.accept(","):
            second = self.identifier()
        if not self.is_name("in"):
            raise self.unexpected("in")
        self.next()
        domain = self._relation()
        key, value = (None, first) if second is None else (first, second)
        return ast.Every(key, value, domain, self.body())

    def _with(self) -> ast.With:
        self.next()
        if not self.is_name("input"):
            raise self.error("with may replace nothing but input")
        self.next()
        path: list[str] = []
        while not self.token.gap and self.token.kind == "operator":
            if self.accept("."):
                path.append(self.name())
            elif self.accept("["):
                path.append(self.string())
                self.expect("]")
            else:
                break
        if not self.is_name("as"):
            raise self.unexpected("as")
        self.next()
        return ast.With(tuple(path), self.term())

    # --- terms

    def terms(self, closing: str) -> tuple[ast.Term, ...]:
        """Terms between commas up to a closing bracket."""
        no_pipe, self._no_pipe = self._no_pipe, False
        found: list[ast.Term] = []
        while not self.accept(closing):
            found.append(self.term())
            if not self.accept(",") and not self.is_operator(closing):
                raise self.unexpected(f"',' or {closing!r}")
        self._no_pipe = no_pipe
        return tuple(found)

    def term(self) -> ast.Term:
        """A term with operators."""
        left = self._relation()
        line = self.token.line
        if self.is_name("in"):
            self.next()
            return ast.Call(("internal", "member_2"), (left, self._relation()), line)
        return left

    def _member(self) -> ast.Term:
        """What may stand in brackets: also `k, v in xs`."""
        left = self.term()
        mark, line = self._at, self.token.line
        if self.accept(","):
            value = self._relation()
            if self.is_name("in"):
                self.next()
                args = (left, value, self._relation())
                return ast.Call(("internal", "member_3"), args, line)
            self._at = mark
        return left

    def _relation(self) -> ast.Term:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"terms are nested more than {MAX_DEPTH} levels deep")
        term = self._infix(0)
        self._depth -= 1
        return term

    def _infix(self, level: int) -> ast.Term:
        if level == len(_LEVELS):
            return self._operand()
        operators = _LEVELS[level]
        left = self._infix(level + 1)
        while self.token.kind == "operator" and self.token.text in operators:
            if self.token.text == "|" and self._no_pipe:
                break
            token = self.next()
            left = ast.Call((operators[token.text],), (left, self._infix(level + 1)), token.line)
        return left

    def _operand(self) -> ast.Term:
        token = self.token
        if token.kind == "number" or self.is_operator("-"):
            return ast.Scalar(self._number(), token.line)
        if token.kind in ("string", "raw"):
            return ast.Scalar(self.string(), token.line)
        if token.kind == "name":
            return self._suffixes(self._named())
        if self.accept("("):
            no_pipe, self._no_pipe = self._no_pipe, False
            inner = self._member()
            self._no_pipe = no_pipe
            self.expect(")")
            return inner
        if self.accept("["):
            return self._suffixes(self._array(token.line))
        if self.accept("{"):
            return self._suffixes(self._braces(token.line))
        raise self.unexpected("a term")

    def _number(self) -> int | float:
        sign = -1 if self.accept("-") else 1
        token = self.token
        if token.kind != "number":
            raise self.unexpected("a number")
        self.next()
        if len(token.text) > 300:
            raise RegoSyntaxError(token.line, "a number has more than 300 characters")
        value = sign * json.loads(token.text)
        if not -MAX_INT < value < MAX_INT:
            raise RegoSyntaxError(token.line, f"{token.text[:40]} is too large")
        return number(value)

    def _named(self) -> ast.Term:
        token = self.token
        if token.text in _CONSTANTS:
            self.next()
            return ast.Scalar(_CONSTANTS[token.text], token.line)
        return ast.Var(self.identifier(), token.line)

    def _suffixes(self, term: ast.Term) -> ast.Term:
        """What follows a term without a gap: fields, keys, arguments."""
        path: list[ast.Term] = []
        head = term
        while not self.token.gap and self.token.kind == "operator":
            line = self.token.line
            if self.accept("."):
                path.append(ast.Scalar(self.name(), line))
            elif self.accept("["):
                no_pipe, self._no_pipe = self._no_pipe, False
                path.append(self.term())
                self._no_pipe = no_pipe
                self.expect("]")
            elif self.is_operator("(") and isinstance(head, ast.Var):
                name = _call_name(head, path)
                if name is None:
                    raise self.error("this cannot be called")
                self.next()
                head, path = ast.Call(name, self.terms(")"), line), []
                if name == ("set",) and not head.args:
                    head = ast.SetTerm((), line)
            else:
                break
        return ast.Ref(head, tuple(path), term.line) if path else head

    def _array(self, line: int) -> ast.Term:
        if self.accept("]"):
            return ast.ArrayTerm((), line)
        first = self._first()
        if self.accept("|"):
            return self._comprehension("array", None, first, "]", line)
        return ast.ArrayTerm((first, *self._rest("]")), line)

    def _braces(self, line: int) -> ast.Term:
        if self.accept("}"):
            return ast.ObjectTerm((), line)
        first = self._first()
        if self.accept(":"):
            value = self._first()
            if self.accept("|"):
                return self._comprehension("object", first, value, "}", line)
            return ast.ObjectTerm(((first, value), *self._pairs()), line)
        if self.accept("|"):
            return self._comprehension("set", None, first, "}", line)
        return ast.SetTerm((first, *self._rest("}")), line)

    def _first(self) -> ast.Term:
        """A term that a comprehension may begin with."""
        no_pipe, self._no_pipe = self._no_pipe, True
        term = self.term()
        self._no_pipe = no_pipe
        return term

    def _rest(self, closing: str) -> tuple[ast.Term, ...]:
        if self.accept(closing):
            return ()
        if not self.accept(","):
            raise self.unexpected(f"',' or {closing!r}")
        return self.terms(closing)

    def _pairs(self) -> list[tuple[ast.Term, ast.Term]]:
        no_pipe, self._no_pipe = self._no_pipe, False
        pairs: list[tuple[ast.Term, ast.Term]] = []
        while not self.accept("}"):
            if not self.accept(","):
                raise self.unexpected("',' or '}'")
            if self.accept("}"):
                break
            key = self.term()
            self.expect(":")
            pairs.append((key, self.term()))
        self._no_pipe = no_pipe
        return pairs

    def _comprehension(
        self,
        kind: Literal["array", "set", "object"],
        key: ast.Term | None,
        value: ast.Term,
        closing: str,
        line: int,
    ) -> ast.Comprehension:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"terms are nested more than {MAX_DEPTH} levels deep")
        body = self._statements(closing)
        self._depth -= 1
        return ast.Comprehension(kind, key, value, body, line)


def _call_name(head: ast.Var, path: list[ast.Term]) -> tuple[str, ...] | None:
    parts = [head.name]
    for step in path:
        if not isinstance(step, ast.Scalar) or type(step.value) is not str:
            return None
        parts.append(step.value)
    return tuple(parts)
