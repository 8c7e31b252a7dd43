"""The object that the definitions of a rule build together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.policy.rego.values import Object, Set, charge, forget_size

if TYPE_CHECKING:
    from collections.abc import Sequence


class Members:
    """An object in the making.

    Values that a rule puts in are somebody else's, too: of the input, or of another rule. Those
    that it adds to are copied first.
    """

    __slots__ = ("_owned", "root")

    def __init__(self) -> None:
        self.root = Object()
        self._owned = {id(self.root)}
        """Of what was made here, and is still part of the object."""

    def put(self, path: Sequence[Any], value: Any, *, is_element: bool) -> bool:
        """Put a value at a path of keys, or add it to the set there.

        False if something else is there; then the object is of no use any more.
        """
        target = self.root
        forget_size(target)
        for key in path[:-1]:
            inner = self._own(target, key, Object)
            if inner is None:
                return False
            target = inner
        key = path[-1]
        if is_element:
            elements = self._own(target, key, Set)
            if elements is None:
                return False
            elements.add(value)
            return True
        return bool(target.setdefault(key, value) == value)

    def _own(self, target: Object, key: Any, kind: type[Any]) -> Any:
        """The collection at a key, made or copied if need be; None if it is of another kind."""
        known: Any = target.get(key)
        if key in target and type(known) is not kind:
            return None
        if id(known) not in self._owned:
            charge(0 if known is None else len(known) >> 3)
            known = target[key] = kind() if known is None else kind(known)
            self._owned.add(id(known))
        forget_size(known)
        return known
