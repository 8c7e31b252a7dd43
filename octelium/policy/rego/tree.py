"""A module with its names resolved: variables are slots, rules are paths, functions are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

RulePath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Const:
    """A value of the text."""

    value: Any


@dataclass(frozen=True, slots=True)
class Local:
    """A variable."""

    slot: int
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Input:
    """The input document."""


@dataclass(frozen=True, slots=True)
class RuleValue:
    """What the rules at a path, and those below it, define."""

    path: RulePath


@dataclass(frozen=True, slots=True)
class Lookup:
    """A path into a value. Variables along it that have no value yet get one."""

    head: Term
    path: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class BuiltinCall:
    """A call of a function of the language, which gets a `Meter` first."""

    name: str
    function: Callable[..., Any]
    args: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a function of the module."""

    path: RulePath
    args: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection whose members are written out; `keys` stand for those of objects."""

    kind: Literal["array", "set", "object"]
    keys: tuple[Term, ...]
    items: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Closure:
    """A comprehension. `free` are the variables around it that it looks at."""

    kind: Literal["array", "set", "object"]
    key: Term | None
    value: Term
    body: Body
    free: frozenset[int]
    line: int


Term = (
    Const | Local | Input | RuleValue | Lookup | BuiltinCall | FunctionCall | Collection | Closure
)


@dataclass(frozen=True, slots=True)
class Test:
    """A term that must be defined and not false."""

    term: Term


@dataclass(frozen=True, slots=True)
class Unify:
    """Two terms that must be equal; variables on either side may get their values by that."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Iterate:
    """Each member of a collection in turn; its variables are new ones."""

    key: Term | None
    value: Term
    domain: Term


@dataclass(frozen=True, slots=True)
class Every:
    """A body that must hold for each member. `free` as in `Closure`."""

    key: Local | None
    value: Local
    domain: Term
    body: Body
    free: frozenset[int]


@dataclass(frozen=True, slots=True)
class Not:
    """An expression that must not hold."""

    inner: Test | Unify | Every


@dataclass(frozen=True, slots=True)
class With:
    """A value in place of a part of the input."""

    path: tuple[str, ...]
    value: Term


@dataclass(frozen=True, slots=True)
class Statement:
    """One expression, with what stands in place of the input for it."""

    expression: Test | Unify | Iterate | Every | Not
    modifiers: tuple[With, ...]
    line: int


Body = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """A body, and what holds with it."""

    keys: tuple[Term, ...]
    value: Term
    body: Body
    element: bool
    """The value is an element of a set."""
    patterns: tuple[Term, ...]
    """What the arguments of a function must look like."""
    slots: int
    """Variables, and what else the frame holds."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a rule; its clauses are tried in order."""

    clauses: tuple[Clause, ...]
    is_default: bool
    line: int


@dataclass(frozen=True, slots=True)
class Group:
    """All definitions of a path. Those of an `object` have keys; sets may stand under them."""

    path: RulePath
    kind: Literal["value", "object", "set", "function"]
    arity: int
    definitions: tuple[Definition, ...]
    calls: frozenset[RulePath]
    """The groups whose values are needed for this one's."""

    @property
    def name(self) -> str:
        """The name, as texts show it."""
        return ".".join(self.path)
