"""The parts of a module, as they are written.

https://www.openpolicyagent.org/docs/policy-reference#grammar names them. Infix operators are calls
of the functions that they stand for; `x.y` and `x["y"]` are the same reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

WILDCARD = "_"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A literal null, boolean, number or string, as a value of `values`."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class Var:
    """A name: a variable, a rule, an import, `input` or `data`."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Ref:
    """A look-up along a path."""

    head: Term
    path: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function, or an infix operator."""

    name: tuple[str, ...]
    args: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class ArrayTerm:
    """`[a, b]`."""

    items: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class SetTerm:
    """`{a, b}`."""

    items: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class ObjectTerm:
    """`{k: v}`."""

    pairs: tuple[tuple[Term, Term], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`[x | …]`, `{x | …}` or `{k: v | …}`; `key` is None but for objects."""

    kind: Literal["array", "set", "object"]
    key: Term | None
    value: Term
    body: Body
    line: int


Term = Scalar | Var | Ref | Call | ArrayTerm | SetTerm | ObjectTerm | Comprehension


@dataclass(frozen=True, slots=True)
class Test:
    """A term that must be defined and not false."""

    term: Term


@dataclass(frozen=True, slots=True)
class Unify:
    """`a = b`; with `declares` it is `a := b`, whose left side declares its variables."""

    left: Term
    right: Term
    declares: bool


@dataclass(frozen=True, slots=True)
class Some:
    """`some x, y`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SomeIn:
    """`some x in xs` or `some k, v in xs`; `key` is None in the first form."""

    key: Term | None
    value: Term
    domain: Term


@dataclass(frozen=True, slots=True)
class Every:
    """`every x in xs { … }` or `every k, v in xs { … }`."""

    key: str | None
    value: str
    domain: Term
    body: Body


@dataclass(frozen=True, slots=True)
class Not:
    """`not …`."""

    literal: Test | Unify | Every


@dataclass(frozen=True, slots=True)
class With:
    """`with input.a.b as value`; `path` leads into the input."""

    path: tuple[str, ...]
    value: Term


@dataclass(frozen=True, slots=True)
class Statement:
    """One expression of a body, with its modifiers."""

    expression: Test | Unify | Some | SomeIn | Every | Not
    modifiers: tuple[With, ...]
    line: int


Body = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """A body and the value that holds with it."""

    value: Term
    body: Body


@dataclass(frozen=True, slots=True)
class Rule:
    """One definition of a rule.

    `path` is its name and the constant strings behind it; `keys` what follows them in brackets.
    With `args` it is a function, with `element` it adds to a set. `clauses` are tried in order
    (`else`); a default has one, and `is_default`.
    """

    path: tuple[str, ...]
    keys: tuple[Term, ...]
    args: tuple[Term, ...] | None
    clauses: tuple[Clause, ...]
    line: int
    element: bool
    is_default: bool

    @property
    def name(self) -> str:
        """The name, as texts show it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its package, what its imports stand for, and its rules in order."""

    package: tuple[str, ...]
    imports: dict[str, Term]
    rules: tuple[Rule, ...]
