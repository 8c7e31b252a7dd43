"""What would make a condition come out true, or false.

A search from the outcome inwards: a comparison of a place with a value asks for that value at the
place, a conjunction for all of its operands, and so on. What comes out are moves to be tried, not
proofs: nothing here has to be right, and much of CEL is left alone.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain.moves import NOTHING, Move, together
from octelium.octovigil.explain.places import GROUPS, Path, Places
from octelium.octovigil.explain.samples import beside, matching, others, sized
from octelium.octovigil.explain.terms import ITEM, NO_VALUE, Element, Names, Terms
from octelium.policy.cel.ast import Call, Fold, Ident, Node, Select
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError
from octelium.policy.cel.folds import is_bind
from octelium.policy.cel.unparse import operands
from octelium.policy.cel.values import Frame, normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.octovigil.explain.supposition import Supposition
    from octelium.octovigil.triggers import Parties
    from octelium.schema.pb import core_v1_pb2 as core

MAX_MOVES: Final = 16
"""Moves that are looked for at each level."""

_SWAPPED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_MAX_TERMS: Final = 2_000
"""Terms of one condition that are looked at."""


class Solver:
    """Looks for moves in one world, on a frame that it may use up."""

    def __init__(self, supposition: Supposition, parties: Parties, frame: Frame) -> None:
        self._places = Places(supposition, parties)
        self._groups = supposition.replica.groups_by_name
        self._member = () if parties.user is None else parties.user.groups
        self._terms = Terms(frame)
        self._left = 0

    # --- conditions

    def moves(self, condition: core.Condition, attrs: dict[str, Any], *, want: bool) -> list[Move]:
        """Moves after which the condition may come out as `want`, where expressions see `attrs`."""
        self._terms.begin(attrs)
        self._left = _MAX_TERMS
        return _best(self._condition(condition, want=want))

    def _condition(self, condition: core.Condition, *, want: bool) -> list[Move]:
        form = condition.WhichOneof("type")
        match form:
            case "match":
                return self._text(condition.match, want=want)
            case "not_":
                return self._text(condition.not_, want=not want)
            case "all" | "any" | "none":
                children = getattr(condition, form).of
                every = (form == "all") == want if form != "none" else want
                each = want if form != "none" else not want
                found = [self._condition(child, want=each) for child in children]
                return _product(found) if every else _union(found)
            case "match_any":
                return [NOTHING] if condition.match_any is want else []
        return []

    def _text(self, text: str, *, want: bool) -> list[Move]:
        try:
            root = check(text).root
        except CompileError:
            return []
        return self._solve(root, {}, want=want)

    # --- expressions

    def _solve(self, node: Node, names: Names, *, want: bool) -> list[Move]:
        """Moves for a truth; the empty one if it is so already."""
        self._left -= 1
        if self._left < 0:
            return []
        if self._terms.value(node, names) is want:
            return [NOTHING]
        match node:
            case Ident(name=name) if not isinstance(bound := names.get(name), Element | None):
                return self._solve(bound, names, want=want)
            case Call("!_", None, (operand,)):
                return self._solve(operand, names, want=not want)
            case Call(function=("_&&_" | "_||_") as operator, target=None):
                found = [self._solve(leaf, names, want=want) for leaf in operands(node, operator)]
                return _product(found) if (operator == "_&&_") == want else _union(found)
            case Call("_?_:_", None, (condition, yes, no)):
                return self._ternary(condition, yes, no, names, want=want)
            case Call(function="_==_" | "_!=_", target=None, args=(left, right)):
                same = (node.function == "_==_") == want
                return self._equal(left, right, names, same=same)
            case Call(function=function, target=None, args=(left, right)) if function in _SWAPPED:
                return self._ordered(function, left, right, names, want=want)
            case Call("@in", None, (item, container)):
                return self._in(item, container, names, want=want)
            case Select(operand=operand, field=field, test=True):
                return self._has(operand, field, names, want=want)
            case Fold():
                return self._fold(node, names, want=want)
            case Call():
                return self._call(node, names, want=want)
            case Select():
                path = self._terms.path(node, names)
                if path is not None:
                    return self._set_any(path, [want]) + ([] if want else self._unset(path))
        return []

    def _ternary(
        self, condition: Node, yes: Node, no: Node, names: Names, *, want: bool
    ) -> list[Move]:
        found: list[Move] = []
        for branch, chosen in ((yes, True), (no, False)):
            found += _product(
                [
                    self._solve(condition, names, want=chosen),
                    self._solve(branch, names, want=want),
                ]
            )
        return found

    def _equal(self, left: Node, right: Node, names: Names, *, same: bool) -> list[Move]:
        found: list[Move] = []
        for target, other in ((left, right), (right, left)):
            value = self._terms.value(other, names)
            if value is NO_VALUE:
                continue
            found += self._resize(target, names, value, same=same)
            path = self._terms.path(target, names)
            if path is not None:
                wanted = [value] if same else others(path, [value])
                found += self._set_any(path, wanted)
                if not same:
                    found += self._unset(path)
        return found

    def _ordered(
        self, function: str, left: Node, right: Node, names: Names, *, want: bool
    ) -> list[Move]:
        found: list[Move] = []
        for target, other, operator in (
            (left, right, function),
            (right, left, _SWAPPED[function]),
        ):
            limit = self._terms.value(other, names)
            path = self._terms.path(target, names)
            for value in beside(limit, operator, want=want):
                found += self._resize(target, names, value, same=True)
                if path is not None:
                    found += self._set_any(path, [value])
            if not want and path is not None:
                found += self._unset(path)
        return found

    def _resize(self, node: Node, names: Names, size: object, *, same: bool) -> list[Move]:
        """For `size(x)`: an `x` of that size."""
        if not isinstance(node, Call) or node.function != "size":
            return []
        (operand,) = node.args or (node.target,)
        path = None if operand is None else self._terms.path(operand, names)
        if operand is None or path is None or not isinstance(size, int | float):
            return []
        current = self._terms.value(operand, names)
        wanted = int(size) if same else int(size) + 1
        return self._set_any(path, sized(current, wanted))

    def _in(self, item: Node, container: Node, names: Names, *, want: bool) -> list[Move]:
        found: list[Move] = []
        items, value = self._terms.value(container, names), self._terms.value(item, names)
        path = self._terms.path(item, names)
        if path is not None and isinstance(items, list | dict):
            found += self._set_any(path, list(items) if want else others(path, list(items)))
            if not want:
                found += self._unset(path)
        where = self._terms.path(container, names)
        if where is None or value is NO_VALUE:
            return found
        return found + self._membership(where, items, value, want=want)

    def _membership(self, where: Path, items: object, value: object, *, want: bool) -> list[Move]:
        """Moves that put a value into a list or a map, or take it out."""
        if where == GROUPS:
            if not isinstance(value, str):
                return []
            return self._places.join(value) if want else self._places.leave(value)
        if isinstance(items, dict) or (items is NO_VALUE and "headers" in where[-1:]):
            if not isinstance(value, str):
                return []
            key = (*where, value)
            return self._set_any(key, ["x"]) if want else self._unset(key)
        listed = items if isinstance(items, list) else []
        kept = [*listed, value] if want else [item for item in listed if item != value]
        return self._set_any(where, [kept])

    def _has(self, operand: Node, field: str, names: Names, *, want: bool) -> list[Move]:
        base = self._terms.path(operand, names)
        if base is None:
            return []
        path = (*base, field)
        if not want:
            return self._unset(path)
        return self._set_any(path, ["x", True, {}])

    # --- functions

    def _call(self, node: Call, names: Names, *, want: bool) -> list[Move]:
        # The checker writes `net.isIP(x)` as one name without a target.
        args = node.args if node.target is None else (node.target, *node.args)
        match node.function.rpartition(".")[2], args:
            case ("startsWith" | "endsWith" | "contains" | "matches" as function, (text, pattern)):
                path, value = self._terms.path(text, names), self._terms.value(pattern, names)
                if path is None or not isinstance(value, str):
                    return []
                if not want:
                    return self._set_any(path, others(path, [value])) + self._unset(path)
                current = self._terms.value(text, names)
                return self._set_any(path, matching(function, value, current))
            case ("hasAny" | "hasAll" as function, (container, items)):
                return self._has_items(function, container, items, names, want=want)
            case ("isIPInRange" | "isPrivateIP", (address, *rest)):
                path = self._terms.path(address, names)
                values = self._addresses(
                    [self._terms.value(part, names) for part in rest], want=want
                )
                return [] if path is None else self._set_any(path, values)
            case ("dyn", (operand,)):
                return self._solve(operand, names, want=want)
            case ("_[_]", _):
                path = self._terms.path(node, names)
                return [] if path is None else self._set_any(path, [want])
        return []

    def _has_items(
        self, function: str, container: Node, items: Node, names: Names, *, want: bool
    ) -> list[Move]:
        where, wanted = self._terms.path(container, names), self._terms.value(items, names)
        if where is None or not isinstance(wanted, list):
            return []
        present = self._terms.value(container, names)
        found = [self._membership(where, present, value, want=want) for value in wanted]
        return _product(found) if (function == "hasAll") == want else _union(found)

    def _addresses(self, ranges: Sequence[object], *, want: bool) -> list[object]:
        if not ranges:
            return ["10.0.0.1"] if want else ["192.0.2.1", "8.8.8.8"]
        try:
            network = ip_network(str(ranges[0]), strict=False)
        except ValueError:
            return []
        if want:
            first = network.network_address
            return [str(first + 1 if network.num_addresses > 1 else first)]
        return [
            text
            for text in ("192.0.2.1", "198.51.100.1", "2001:db8::1")
            if ip_address(text) not in network
        ]

    # --- loops

    def _fold(self, node: Fold, names: Names, *, want: bool) -> list[Move]:
        if is_bind(node):
            return self._solve(node.result, {**names, node.accumulator: node.init}, want=want)
        match node.step:
            case Call("_||_", None, (_, predicate)):
                universal = False
            case Call("_&&_", None, (_, predicate)):
                universal = True
            case _:
                return []
        path = self._terms.path(node.range, names)
        if path == ("groups",):
            return self._group_fold(node.variable, predicate, universal=universal, want=want)
        if path is None:
            return []
        items = self._terms.value(node.range, names)
        present = list(items) if isinstance(items, list | dict) else []
        # `exists` wants one element for which the predicate is true, and none to be false.
        if want != universal:
            inner: Names = {**names, node.variable: Element(path)}
            return self._solve(predicate, inner, want=not universal)
        holds = [self._terms.element(node.variable, predicate, item) for item in present]
        pairs = list(zip(present, holds, strict=True))
        if path == GROUPS:
            against = [item for item, result in pairs if result is not universal]
            return self._places.leave(*(item for item in against if isinstance(item, str)))
        kept = [item for item, result in pairs if result is universal]
        found = [] if isinstance(items, dict) else self._set_any(path, [kept])
        return found + self._unset(path)

    def _group_fold(
        self, variable: str, predicate: Node, *, universal: bool, want: bool
    ) -> list[Move]:
        def holds(name: str) -> object:
            form = normalized(self._groups[name].json)
            return self._terms.element(variable, predicate, form)

        if want != universal:
            wanted = [
                name
                for name in sorted(self._groups)[: 8 * MAX_MOVES]
                if name not in self._member and holds(name) is want
            ]
            return _union([self._places.join(name) for name in wanted])
        against = [
            name for name in self._member if name in self._groups and holds(name) is not want
        ]
        return self._places.leave(*against)

    def _set_any(self, path: Path, values: Iterable[object]) -> list[Move]:
        """Moves after which one of the values stands at a path."""
        position = next((at for at, step in enumerate(path) if step is ITEM), None)
        if position is None:
            made = [move for value in values for move in self._places.set(path, value)]
            return made[:MAX_MOVES]
        where, below = path[:position], path[position + 1 :]
        found: list[Move] = []
        for value in values:
            item: object = value
            for step in reversed(below):
                item = {step: item}
            found += self._membership(where, self._terms.at(where), item, want=True)
        return found[:MAX_MOVES]

    def _unset(self, path: Path) -> list[Move]:
        return [] if any(step is ITEM for step in path) else self._places.unset(path)


def _union(found: Iterable[list[Move]]) -> list[Move]:
    """One of several things is enough."""
    return _best(move for moves in found for move in moves)


def _product(found: Sequence[list[Move]]) -> list[Move]:
    """All of several things are needed."""
    made = [NOTHING]
    for moves in found:
        joined = (together(left, right) for left in made for right in _best(moves))
        made = _best(move for move in joined if move is not None)
        if not made:
            break
    return made


def _best(moves: Iterable[Move]) -> list[Move]:
    """The different ones with the fewest edits."""
    distinct = {move.key: move for move in moves}
    return sorted(distinct.values(), key=lambda move: move.rank)[:MAX_MOVES]
