"""Which parts of `ctx` an expression can touch, found without evaluating it.

The answer is a set of paths, each meaning the value there with everything below it. It may be too
large but never too small: whoever changes nothing at these paths cannot change the result. A path
that ends in nothing counts as read too, since its absence shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.folds import is_bind

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = tuple[str, ...]

_VOLATILE = frozenset({"now"})


@dataclass(frozen=True, slots=True)
class Reads:
    """What an expression depends on."""

    paths: frozenset[Path]
    """Paths below `ctx`; the empty path is the whole of it. None is a prefix of another."""
    volatile: bool
    """The expression calls `now()`: its result holds for no span of time."""


def analyze(root: Node) -> Reads:
    """What evaluating `root` can depend on, besides `attrs`."""
    walk = _Walk()
    walk.use(root, {"ctx": frozenset({()})})
    return Reads(minimal(walk.paths), walk.volatile)


def roots(root: Node, locals_: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The members of `ctx` that the value of `root` may come of; an empty name means all of them.

    `locals_` are the variables around `root` with what their values may come of; they come before
    `ctx` if one has its name.
    """
    walk = _Walk(outer=locals_)
    walk.use(root, {} if "ctx" in locals_ else {"ctx": frozenset({()})})
    return frozenset(path[0] if path else "" for path in walk.paths) | walk.met


def minimal(paths: set[Path] | frozenset[Path]) -> frozenset[Path]:
    """The same reads without paths that lie below others."""
    if len(paths) < 2:
        return frozenset(paths)
    return frozenset(
        path for path in paths if not any(path[:end] in paths for end in range(len(path)))
    )


_Aliases = frozenset[Path]
_Scope = dict[str, _Aliases]
_NOTHING: _Aliases = frozenset()


@dataclass(slots=True)
class _Walk:
    paths: set[Path] = field(default_factory=set)
    volatile: bool = False
    outer: Mapping[str, frozenset[str]] = field(default_factory=dict)
    met: frozenset[str] = frozenset()
    """What the variables of `outer` come of that are looked into."""

    def use(self, node: Node, scope: _Scope) -> None:
        """The value of `node` is looked into: all that it may be a part of `ctx` is read."""
        self.paths |= self.follow(node, scope)

    def follow(self, node: Node, scope: _Scope) -> _Aliases:
        """The parts of `ctx` that the value of `node` may be, not read yet."""
        match node:
            case Const():
                return _NOTHING
            case Ident(name=name):
                if name not in scope:
                    self.met |= self.outer.get(name, frozenset())
                return scope.get(name, _NOTHING)
            case Select(operand=operand, field=name):
                return frozenset((*path, name) for path in self.follow(operand, scope))
            case ListNode(items=items):
                for item in items:
                    self.use(item, scope)
                return _NOTHING
            case MapNode(entries=entries):
                for key, value in entries:
                    self.use(key, scope)
                    self.use(value, scope)
                return _NOTHING
            case Call():
                return self._call(node, scope)
            case Fold():
                return self._fold(node, scope)

    def _call(self, node: Call, scope: _Scope) -> _Aliases:
        self.volatile |= node.function in _VOLATILE
        match node:
            case Call("_[_]", None, (container, Const(value=str(key)))):
                return frozenset((*path, key) for path in self.follow(container, scope))
            case Call("@in", None, (Const(value=str(key)), container)):
                # A key of a map is looked up alone; a list standing there is read as a whole.
                self.paths |= {(*path, key) for path in self.follow(container, scope)}
                return _NOTHING
            case Call("_?_:_", None, (condition, yes, no)):
                self.use(condition, scope)
                return self.follow(yes, scope) | self.follow(no, scope)
            case Call("dyn", None, (value,)):
                return self.follow(value, scope)
        if node.target is not None:
            self.use(node.target, scope)
        for arg in node.args:
            self.use(arg, scope)
        return _NOTHING

    def _fold(self, node: Fold, scope: _Scope) -> _Aliases:
        if is_bind(node):
            bound = self.follow(node.init, scope)
            return self.follow(node.result, {**scope, node.accumulator: bound})
        self.use(node.range, scope)
        self.use(node.init, scope)
        inner = {**scope, node.variable: _NOTHING, node.accumulator: _NOTHING}
        for part in (node.condition, node.step, node.result):
            self.use(part, inner)
        return _NOTHING
