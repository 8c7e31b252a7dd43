"""Maps of which only a part is known, for evaluations before everything is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

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


def looks_at_unknown(paths: Iterable[Path], root: dict[str, Any]) -> bool:
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


class Expected(NamedTuple):
    """What may stand at a path that is not known."""

    values: Values
    """All that there can be; empty if that is not known."""
    certain: int
    """How many keys of the path surely lead somewhere."""


def expectation(path: Path, root: dict[str, Any]) -> Expected | None:
    """What may stand at an unknown `path`; None if that, or a part of it, is known."""
    value: Any = root
    for index, key in enumerate(path):
        if not isinstance(value, OpenMap):
            return None
        if dict.__contains__(value, key):
            value = value[key]
            continue
        if not value.may_have(key):
            return None
        exists = key in value.present
        if index == len(path) - 1:
            found = value.present if exists else value.maybe
            return Expected(found.get(key, ANYTHING), index + exists)
        return Expected(ANYTHING, index + exists)
    return None
