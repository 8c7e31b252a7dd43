"""From text to a module: Rego v1, and nothing older.

https://www.openpolicyagent.org/docs/policy-reference#grammar. Parsing takes time linear in the
text, whose length and nesting are bounded.
"""

from __future__ import annotations

from typing import Final

from octelium.policy.rego import ast
from octelium.policy.rego.terms import TermParser
from octelium.policy.rego.tokens import RegoSyntaxError, tokens_of
from octelium.policy.rego.values import TRUE

_V1: Final = "this is not Rego v1"


def parse(text: str, package: tuple[str, ...]) -> ast.Module:
    """Parse a module that must be of `package`.

    Raises:
        RegoSyntaxError: it is not, or no Rego v1.
    """
    return _Parser(tokens_of(text)).module(package)


class _Parser(TermParser):
    """Statements of a module."""

    def module(self, package: tuple[str, ...]) -> ast.Module:
        self._package(package)
        imports: dict[str, ast.Term] = {}
        rules: list[ast.Rule] = []
        while self.token.kind != "end":
            if not self.accept(";"):
                if self.is_name("import"):
                    self._import(imports)
                else:
                    rules.append(self._rule())
                if not self.token.breaks and not self.is_operator(";"):
                    raise self.unexpected("the end of the line")
        return ast.Module(package, imports, tuple(rules))

    # --- the head of a module

    def _package(self, wanted: tuple[str, ...]) -> None:
        name = ".".join(wanted)
        if not self.is_name("package"):
            raise self.error(f"a module begins with its package: package {name}")
        self.next()
        line = self.token.line
        found = self._path()
        if found != wanted:
            raise RegoSyntaxError(line, f"the package is {'.'.join(found)}; it must be {name}")
        if not self.token.breaks and not self.is_operator(";"):
            raise self.unexpected("the end of the line")

    def _path(self) -> tuple[str, ...]:
        if self.token.kind != "name":
            raise self.unexpected("a name")
        parts = [self.next().text]
        while not self.token.gap and self.token.kind == "operator":
            if self.accept("."):
                parts.append(self.name())
            elif self.accept("["):
                parts.append(self.string())
                self.expect("]")
            else:
                break
        return tuple(parts)

    def _import(self, imports: dict[str, ast.Term]) -> None:
        keyword = self.next()
        path = self._path()
        alias = path[-1]
        if self.is_name("as"):
            self.next()
            alias = self.name()
        if path[:2] == ("future", "keywords") or path == ("rego", "v1"):
            return
        if path[0] != "input":
            problem = f"import {'.'.join(path)} is not offered: there is only input"
            raise RegoSyntaxError(keyword.line, problem)
        if alias in imports:
            raise RegoSyntaxError(keyword.line, f"{alias} is imported twice")
        head = ast.Var("input", keyword.line)
        steps = tuple(ast.Scalar(part, keyword.line) for part in path[1:])
        imports[alias] = ast.Ref(head, steps, keyword.line) if steps else head

    # --- rules

    def _rule(self) -> ast.Rule:
        is_default = self.is_name("default")
        if is_default:
            self.next()
        start = self.token
        if start.kind != "name":
            raise self.unexpected("a rule")
        path, keys, args = self._head()
        name = ".".join(path)
        element = False
        value: ast.Term | None = None
        if self.is_name("contains") and args is None:
            self.next()
            value, element = self.term(), True
        elif self.accept(":=") or self.accept("="):
            value = self.term()
        if is_default:
            if value is None or element or keys:
                raise RegoSyntaxError(start.line, f"default {name} needs a value")
            only = (ast.Clause(value, ()),)
            return ast.Rule(path, (), args, only, start.line, element=False, is_default=True)
        body = self._if()
        if body is None and value is None:
            raise RegoSyntaxError(
                start.line,
                f"{_V1}: rule {name} has neither a value nor a body that begins with if; "
                "elements of a set need contains",
            )
        first = ast.Clause(value or ast.Scalar(TRUE, start.line), body or ())
        clauses = (first, *self._else(allowed=not element and not keys))
        return ast.Rule(path, keys, args, clauses, start.line, element=element, is_default=False)

    def _head(self) -> tuple[tuple[str, ...], tuple[ast.Term, ...], tuple[ast.Term, ...] | None]:
        """Name, keys in brackets, and arguments."""
        line = self.token.line
        path = [self.identifier()]
        keys: list[ast.Term] = []
        args: tuple[ast.Term, ...] | None = None
        while not self.token.gap and self.token.kind == "operator":
            if self.accept("."):
                key: ast.Term = ast.Scalar(self.name(), line)
            elif self.accept("["):
                key = self.term()
                self.expect("]")
            elif self.accept("("):
                args = self.terms(")")
                break
            else:
                break
            if not keys and isinstance(key, ast.Scalar) and type(key.value) is str:
                path.append(key.value)
            else:
                keys.append(key)
        if args is not None and keys:
            raise RegoSyntaxError(line, "a function's name has no keys")
        return tuple(path), tuple(keys), args

    def _if(self) -> ast.Body | None:
        """A body, if one follows; only one that begins with `if` may."""
        body: ast.Body | None = None
        if self.is_name("if"):
            self.next()
            body = self.body() if self.is_operator("{") else (self.statement(),)
        if self.is_operator("{") and not self.token.breaks:
            raise self.error(f"{_V1}: a body needs if before its {{")
        return body

    def _else(self, *, allowed: bool) -> list[ast.Clause]:
        clauses: list[ast.Clause] = []
        while self.is_name("else"):
            line = self.next().line
            if not allowed:
                raise RegoSyntaxError(line, "else goes with a rule that has a single value")
            value: ast.Term | None = None
            if self.accept(":=") or self.accept("="):
                value = self.term()
            body = self._if()
            if value is None and body is None:
                problem = f"{_V1}: else needs a value, or a body that begins with if"
                raise RegoSyntaxError(line, problem)
            clauses.append(ast.Clause(value or ast.Scalar(TRUE, line), body or ()))
        return clauses
