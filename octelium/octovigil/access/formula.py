"""What access depends on: boolean combinations of residual conditions.

Equal combinations are one object, so that they compare by identity. An atom is true where its
expression is; a negated atom is true everywhere else, also where data is missing, just as `not:`
reads an expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from octelium.policy.cel.ast import Call, Const, Node, Select
from octelium.policy.cel.openmap import expectation
from octelium.policy.cel.reads import analyze
from octelium.policy.cel.trees import conjunction, disjunction, mentions, negation
from octelium.policy.cel.unparse import unparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from octelium.policy.cel.openmap import Expected
    from octelium.policy.cel.reads import Path

_MAX_TEXTS: Final = 32
_LONGEST: Final = 2000
"""Characters of a text."""
_SIZE: Final = 256
"""Parts of a combination from which on nothing more is simplified."""


class Formula:
    """A combination; made by `Formulas` and compared by identity."""

    __slots__ = ()

    @property
    def atoms(self) -> frozenset[Atom]:
        """All atoms in it."""
        raise NotImplementedError

    @property
    def node(self) -> Node:
        """It as an expression."""
        raise NotImplementedError

    def holds(self, true: frozenset[Atom]) -> bool:
        """Whether it is true where just these atoms are."""
        raise NotImplementedError


class Atom(Formula):
    """A residual expression that is no combination itself.

    `expected` tells for each path below `ctx` at which it reads what may stand there; None if it
    cannot be told by these alone whether it is true. `says` tells stand-ins apart by what they
    stand for; None for an expression.
    """

    __slots__ = ("atoms_", "expected", "node_", "says", "text")

    def __init__(
        self,
        node: Node,
        text: str,
        expected: Mapping[Path, Expected] | None,
        says: object = None,
    ) -> None:
        self.node_ = node
        self.text = text
        self.expected = expected
        self.says = says
        self.atoms_ = frozenset((self,))

    @property
    def atoms(self) -> frozenset[Atom]:
        """Itself."""
        return self.atoms_

    @property
    def node(self) -> Node:
        """The expression."""
        return self.node_

    @property
    def always_has_data(self) -> bool:
        """Whether nothing that it looks for can be missing."""
        if self.expected is None:
            return False
        # These ask whether there is something, and need but the map that it would be in.
        match self.node_:
            case Select(test=True) | Call("@in", None, (Const(), _)):
                return all(each.certain >= len(path) - 1 for path, each in self.expected.items())
        return all(each.certain == len(path) for path, each in self.expected.items())

    def holds(self, true: frozenset[Atom]) -> bool:
        """Whether it is among `true`."""
        return self in true

    def __repr__(self) -> str:
        return self.text


class Not(Formula):
    """The negation of an atom."""

    __slots__ = ("atom",)

    def __init__(self, atom: Atom) -> None:
        self.atom = atom

    @property
    def atoms(self) -> frozenset[Atom]:
        """The one that is negated."""
        return self.atom.atoms

    @property
    def node(self) -> Node:
        """The negation."""
        match self.atom.node:
            case Call("_==_", None, args) if self.atom.always_has_data:
                return Call("_!=_", None, args)
        return negation(self.atom.node)

    def holds(self, true: frozenset[Atom]) -> bool:
        """Whether the atom is not among `true`."""
        return self.atom not in true

    def __repr__(self) -> str:
        return f"not {self.atom}"


class _Many(Formula):
    __slots__ = ("_atoms", "_node", "parts")

    def __init__(self, parts: tuple[Formula, ...]) -> None:
        self.parts = parts
        self._atoms: frozenset[Atom] | None = None
        self._node: Node | None = None

    @property
    def atoms(self) -> frozenset[Atom]:
        """Those of all parts."""
        if self._atoms is None:
            self._atoms = frozenset[Atom]().union(*(part.atoms for part in self.parts))
        return self._atoms


class All(_Many):
    """True where all parts are; `TRUE` has none."""

    __slots__ = ()

    @property
    def node(self) -> Node:
        """The parts joined by `&&`."""
        if self._node is None:
            self._node = conjunction([part.node for part in self.parts])
        return self._node

    def holds(self, true: frozenset[Atom]) -> bool:
        """Whether all parts are true."""
        return all(part.holds(true) for part in self.parts)

    def __repr__(self) -> str:
        return f"all{self.parts}"


class Some(_Many):
    """True where some part is; `FALSE` has none."""

    __slots__ = ()

    @property
    def node(self) -> Node:
        """The parts joined by `||`."""
        if self._node is None:
            self._node = disjunction([part.node for part in self.parts])
        return self._node

    def holds(self, true: frozenset[Atom]) -> bool:
        """Whether some part is true."""
        return any(part.holds(true) for part in self.parts)

    def __repr__(self) -> str:
        return f"any{self.parts}"


TRUE: Final[Formula] = All(())
FALSE: Final[Formula] = Some(())


def conjuncts(formula: Formula) -> list[str]:
    """The texts of what must be true all together; long ones are cut off with an ellipsis."""
    if formula is TRUE:
        return []
    parts = formula.parts if isinstance(formula, All) else (formula,)
    texts = [unparse(part.node) for part in parts[:_MAX_TEXTS]]
    if len(parts) > _MAX_TEXTS:
        texts.append(f"… and {len(parts) - _MAX_TEXTS} more")
    return [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in texts]


class _Known(NamedTuple):
    ctx: dict[str, Any]
    attrs: object


class Formulas:
    """Makes formulas, each only once."""

    def __init__(self) -> None:
        self._atoms: dict[tuple[object, ...], Atom] = {}
        self._kept: list[object] = []
        """What is told apart by its identity."""
        self._nots: dict[Atom, Not] = {}
        self._both: dict[tuple[Formula, Formula], Formula] = {}
        self._either: dict[tuple[Formula, Formula], Formula] = {}
        self._all: dict[frozenset[Formula], All] = {}
        self._any: dict[frozenset[Formula], Some] = {}

    # --- from expressions

    def of(self, node: Node, ctx: dict[str, Any], attrs: object = None) -> Formula:
        """Where a residual expression is true; `ctx` is what is known, `attrs` what `attrs` is.

        A negation goes down to the operands of `&&` and `||`: `!(a && b)` is true where `a` or `b`
        is false, which is not where it has no value.
        """
        return self._of(node, _Known(ctx, attrs), positive=True)

    def _of(self, node: Node, known: _Known, *, positive: bool) -> Formula:
        match node:
            case Const(value=bool() as value):
                return TRUE if value is positive else FALSE
            case Const():
                return FALSE  # a value of another type, which is an error
            case Call("!_", None, (operand,)):
                return self._of(operand, known, positive=not positive)
            case Call("_&&_" | "_||_" as operator, None, args):
                parts = [self._of(arg, known, positive=positive) for arg in args]
                together = (operator == "_&&_") == positive
                return self.all(parts) if together else self.any(parts)
        if isinstance(node, Call) and node.function == "_!=_":
            node, positive = Call("_==_", None, node.args), not positive
        return self._atom(node, known) if positive else self._is_false(node, known)

    def _is_false(self, node: Node, known: _Known) -> Formula:
        """Where a node is false, and not just without a value."""
        atom = self._atom(node, known)
        if atom.always_has_data:
            return self.negation(atom)
        match node:
            case Call("_==_", None, args):
                return self._atom(Call("_!=_", None, args), known)
        return self._atom(Call("_==_", None, (node, Const(value=False))), known)

    def _atom(self, node: Node, known: _Known) -> Atom:
        reads = analyze(node)
        expected: dict[Path, Expected] | None = {}
        for path in () if reads.volatile else reads.paths:
            found = expectation(path, known.ctx)
            if found is None or expected is None:
                expected = None  # it names something known, which another `ctx` may have otherwise
            else:
                expected[path] = found
        text = unparse(node)
        attrs = None
        if "attrs" in text and mentions(node, "attrs"):
            expected, attrs = None, known.attrs  # another Policy means something else by it
            self._kept.append(attrs)
        key = (text, tuple(sorted(expected.items())) if expected else None, id(attrs))
        atom = self._atoms.get(key)
        if atom is None:
            atom = self._atoms[key] = Atom(node, text, expected or None)
        return atom

    def named(
        self, function: str, argument: str, identity: object = None, says: object = b""
    ) -> Atom:
        """A stand-in for what no expression says, written as a call: `rego("…")`.

        There is one for each `identity`, by default the text; `says` is what it stands for.
        """
        key = (function, argument if identity is None else identity)
        atom = self._atoms.get(key)
        if atom is None:
            node = Call(function, None, (Const(argument),))
            atom = self._atoms[key] = Atom(node, unparse(node), None, says)
        return atom

    # --- combinations

    def both(self, one: Formula, two: Formula) -> Formula:
        """`all` of two."""
        if one is TRUE:
            return two
        if two is TRUE:
            return one
        if one is FALSE or two is FALSE:
            return FALSE
        made = self._both.get((one, two))
        if made is None:
            made = self._both[one, two] = self.all((one, two))
        return made

    def either(self, one: Formula, two: Formula) -> Formula:
        """`any` of two."""
        if one is FALSE:
            return two
        if two is FALSE:
            return one
        if one is TRUE or two is TRUE:
            return TRUE
        made = self._either.get((one, two))
        if made is None:
            made = self._either[one, two] = self.any((one, two))
        return made

    def negation(self, formula: Formula) -> Formula:
        """True where `formula` is not."""
        match formula:
            case Atom():
                made = self._nots.get(formula)
                if made is None:
                    made = self._nots[formula] = Not(formula)
                return made
            case Not():
                return formula.atom
            case All():
                return self.any([self.negation(part) for part in formula.parts])
            case Some():
                return self.all([self.negation(part) for part in formula.parts])
        raise AssertionError(formula)

    def all(self, parts: Iterable[Formula]) -> Formula:
        """True where all parts are."""
        found = self._flat(parts, All, FALSE)
        if found is None:
            return FALSE
        if len(found) == 1:
            return found[0]
        if not found:
            return TRUE
        key = frozenset(found)
        made = self._all.get(key)
        if made is None:
            made = self._all[key] = All(tuple(found))
        return made

    def any(self, parts: Iterable[Formula]) -> Formula:
        """True where some part is."""
        found = self._flat(parts, Some, TRUE)
        if found is None:
            return TRUE
        if len(found) == 1:
            return found[0]
        if not found:
            return FALSE
        key = frozenset(found)
        made = self._any.get(key)
        if made is None:
            made = self._any[key] = Some(tuple(found))
        return made

    def _flat(
        self, parts: Iterable[Formula], kind: type[All | Some], decisive: Formula
    ) -> list[Formula] | None:
        """The parts without repetitions and combinations of the same kind, and with what the
        others say already taken out of each; None if the decisive constant is the result.
        """
        found: dict[Formula, None] = {}
        for part in parts:
            if part is decisive:
                return None
            found.update(dict.fromkeys(part.parts) if isinstance(part, kind) else {part: None})
        if len(found) < 2:
            return list(found)
        for part in found:
            if isinstance(part, Not) and part.atom in found:
                return None
        if len(found) > _SIZE or all(isinstance(part, Atom | Not) for part in found):
            return list(found)
        return self._absorbed(list(found), kind, decisive)

    def _absorbed(
        self, found: Sequence[Formula], kind: type[All | Some], decisive: Formula
    ) -> list[Formula] | None:
        """`a && (a || b)` is `a`, and `a && (!a || b)` is `a && b`; likewise the other way."""
        given = {part for part in found if not isinstance(part, _Many)}
        opposite = {self.negation(part) for part in given}
        rest: list[Formula] = []
        changed = False
        for part in found:
            if not isinstance(part, _Many):
                rest.append(part)
                continue
            inner = set(part.parts)
            if not given.isdisjoint(inner) or any(
                other is not part and isinstance(other, _Many) and inner > set(other.parts)
                for other in found
            ):
                continue
            if opposite.isdisjoint(inner):
                rest.append(part)
                continue
            changed = True
            left = [each for each in part.parts if each not in opposite]
            rest.append(self.any(left) if kind is All else self.all(left))
        return self._flat(rest, kind, decisive) if changed else rest
