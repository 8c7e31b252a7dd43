"""Maps of which only a part is known, for evaluations before everything is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import UnknownDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from octelium.policy.cel.reads import Path

Values = tuple[object, ...]
"""What an unknown value can be; empty if that is not known either."""

ANYTHING: Final[Values] = ()


class OpenMap(dict[str, Any]):
    """A map with the entries that are known; a look at what is not raises `UnknownDataError`.

    Of the other keys, those of `present` have some value, those of `maybe` may have one, those of
    `absent` have none. For the rest `open` tells whether they may be there. Only subscription and
    `in` know of this, so nothing may look at the map as a whole: see `looks_at_unknown`.
    """

    __slots__ = ("absent", "maybe", "open", "present")

    def __init__(
        self,
        known: Mapping[str, Any] | None = None,
        *,
        present: Mapping[str, Values] | None = None,
        maybe: Mapping[str, Values] | None = None,
        absent: Iterable[str] = (),
        open: bool = True,  # noqa: A002 - the word for it
    ) -> None:
        super().__init__(known or {})
        self.present: Mapping[str, Values] = present or {}
        self.maybe: Mapping[str, Values] = maybe or {}
        self.absent = frozenset(absent)
        self.open = open

    def may_have(self, key: object) -> bool:
        """Whether the map may have a key that is not among the known ones."""
        if key in self.present or key in self.maybe:
            return True
        return self.open and key not in self.absent

    def __missing__(self, key: str) -> Any:
        if self.may_have(key):
            raise UnknownDataError(f"{key} is not known yet")
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key) or key in self.present:
            return True
        if self.may_have(key):
            raise UnknownDataError(f"whether there is {key} is not known yet")
        return False

    def get(self, key: str, default: Any = None) -> Any:
        """As of any mapping, but for what is not known."""
        try:
            return self[key]
        except KeyError:
            return default

    def __repr__(self) -> str:
        rest = (sorted(self.present.items()), sorted(self.maybe.items()), sorted(self.absent))
        return f"OpenMap({super().__repr__()}, {rest}, {self.open})"


def looks_at_unknown(paths: Iterable[Path], root: OpenMap) -> bool:
    """Whether one of `paths` ends at a map of which only a part is known."""
    for path in paths:
        value: Any = root
        for key in path:
            if not isinstance(value, dict) or not dict.__contains__(value, key):
                break
            value = value[key]
        else:
            if isinstance(value, OpenMap):
                return True
    return False


def expectation(path: Path, root: OpenMap) -> tuple[Values, bool]:
    """What an unknown value at `path` can be, and whether there may be none."""
    value: Any = root
    for index, key in enumerate(path):
        if not isinstance(value, OpenMap):
            break
        if dict.__contains__(value, key):
            value = value[key]
            continue
        last = index == len(path) - 1
        if key in value.present:
            return (value.present[key], False) if last else (ANYTHING, True)
        return (value.maybe.get(key, ANYTHING), True) if last else (ANYTHING, True)
    return ANYTHING, True
