"""Terms of an expression: what they come to in one world, and where below `ctx` that stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from octelium.octovigil.explain.places import GROUPS, Path
from octelium.policy.cel.ast import Call, Fold, Ident, ListNode, Node, Select
from octelium.policy.cel.compiler import POLICY_SCOPE, Scope, compile_node
from octelium.policy.cel.errors import CelError
from octelium.policy.cel.values import ATTRS, BUDGET, Frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

_TRANSPARENT: Final = frozenset(
    {"dyn", "string", "int", "double", "uint", "timestamp", "duration"}
    | {"lowerAscii", "upperAscii", "toLower", "toUpper", "trim"}
)
"""Functions of one argument that keep what a value means."""

ITEM: Final = "an element"
"""In a path: an element of the list that the path leads to so far. No key has this identity."""

_STEPS: Final = 50_000
"""What evaluations for one condition may take."""


class Element(NamedTuple):
    """A loop's variable: an element of the list at `path`."""

    path: Path


class _NoValue:
    """No value, for whatever reason."""


NO_VALUE: Final = _NoValue()

Names: TypeAlias = "Mapping[str, Node | Element]"
"""What the names that a term lies within stand for."""


class Terms:
    """Evaluates terms on a frame that it may use up."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def begin(self, attrs: dict[str, Any]) -> None:
        """From here on terms see `attrs`, and may take as much as one condition's."""
        self._frame[ATTRS] = attrs
        self._frame[BUDGET] = _STEPS

    def at(self, path: Path) -> object:
        """What stands at a path below `ctx`."""
        node: Node = Ident("ctx")
        for step in path:
            node = Select(node, step, test=False)
        return self._evaluate(node, POLICY_SCOPE)

    def path(self, node: Node, names: Names) -> Path | None:
        """Where the value of a node stands below `ctx`, if it is nothing but that."""
        match node:
            case Ident("ctx") if "ctx" not in names:
                return ()
            case Ident(name=name):
                bound = names.get(name)
                if isinstance(bound, Element):
                    return (*bound.path, ITEM)
                return None if bound is None else self.path(bound, names)
            case Select(operand=operand, field=field, test=False):
                base = self.path(operand, names)
                return None if base is None else (*base, field)
            case Call("_[_]", None, (operand, key)):
                base, value = self.path(operand, names), self.value(key, names)
                return (*base, value) if base is not None and isinstance(value, str) else None
            case Call(function=function, target=None, args=(operand,)) if function in _TRANSPARENT:
                return self.path(operand, names)
            case Call(function=function, target=target, args=()) if function in _TRANSPARENT:
                return None if target is None else self.path(target, names)
            case Fold(variable=variable, range=items, step=Call("_+_", None, (_, element))):
                # The names of the Groups, another way to say the same.
                metadata = Select(Ident(variable), "metadata", test=False)
                names_of = ListNode((Select(metadata, "name", test=False),))
                if element == names_of and self.path(items, names) == ("groups",):
                    return GROUPS
        return None

    def value(self, node: Node, names: Names) -> object:
        """The value of a node, or `NO_VALUE`."""
        scope = POLICY_SCOPE
        for name, bound in names.items():
            if isinstance(bound, Element):
                continue  # what names it does not compile, and has no value
            value = self._evaluate(bound, scope)
            scope, slot = scope.bind(name, lazy=True)
            self._frame[slot.index] = CelError("no value") if value is NO_VALUE else value
        return self._evaluate(node, scope)

    def element(self, variable: str, predicate: Node, value: object) -> object:
        """What a loop's predicate comes to for an element, or `NO_VALUE`."""
        inner, slot = POLICY_SCOPE.bind(variable)
        self._frame[slot.index] = value
        return self._evaluate(predicate, inner)

    def _evaluate(self, node: Node, scope: Scope) -> object:
        try:
            return compile_node(node, scope)(self._frame)
        except Exception:  # noqa: BLE001 - whatever it is, there is no value
            return NO_VALUE
