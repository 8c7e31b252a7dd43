"""`ctx`, built no further than it is looked at.

Resources reach conditions in their JSON form with all numbers as doubles. That form is made when
an expression first asks for it and kept as long as the resource does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.cel.values import normalized

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REQUEST: Final = "request"

_CAPACITY: Final = 2048


class JsonEntry(Protocol):
    """What is needed of an entry of the replica."""

    version: int

    @property
    def json(self) -> dict[str, Any]:
        """The JSON form of the resource."""


class JsonForms:
    """JSON forms of entries with doubles for numbers, kept in two generations."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[int, dict[str, Any]] = {}
        self._old: dict[int, dict[str, Any]] = {}

    def of(self, entry: JsonEntry) -> dict[str, Any]:
        """The form of `entry`; shared, not to be changed."""
        form = self._young.get(entry.version)
        if form is None:
            form = self._old.pop(entry.version, None)
            if form is None:
                form = normalized(entry.json)  # type: ignore[assignment]  # a dict stays one
                assert form is not None
            if len(self._young) >= _CAPACITY:
                self._old, self._young = self._young, {}
            self._young[entry.version] = form
        return form


class Context(dict[str, Any]):
    """`ctx` over entries of the replica. Its `request` is unknown until `set_request`.

    Only subscription and `in` are lazy; for an expression that looks at all of it, ask `full`.
    """

    __slots__ = ("_forms", "_sources", "_unknown")

    def __init__(
        self,
        forms: JsonForms,
        sources: Mapping[str, JsonEntry | None],
        groups: Sequence[JsonEntry] = (),
    ) -> None:
        super().__init__()
        self._forms = forms
        self._sources: dict[str, JsonEntry | Sequence[JsonEntry]] = {
            name: entry for name, entry in sources.items() if entry is not None
        }
        if groups:
            self._sources["groups"] = groups
        self._unknown = True

    def set_request(self, request: dict[str, Any] | None) -> None:
        """From here on `ctx.request` is `request`; absent with None."""
        self._unknown = False
        if request is None:
            self.pop(REQUEST, None)
        else:
            self[REQUEST] = request

    def forget_request(self) -> None:
        """From here on `ctx.request` is unknown."""
        self._unknown = True
        self.pop(REQUEST, None)

    def __missing__(self, key: str) -> Any:
        if key == REQUEST and self._unknown:
            raise UnknownDataError("the request is not known yet")
        source = self._sources[key]
        if isinstance(source, (list, tuple)):
            value: Any = [self._forms.of(entry) for entry in source]
        else:
            value = self._forms.of(source)  # type: ignore[arg-type]  # not a sequence
        self[key] = value
        return value

    def __contains__(self, key: object) -> bool:
        if key == REQUEST and self._unknown:
            raise UnknownDataError("the request is not known yet")
        return key in self._sources or super().__contains__(key)

    def full(self) -> dict[str, Any]:
        """The whole of it as a plain dict.

        Raises:
            UnknownDataError: the request is not known.
        """
        whole = {name: self[name] for name in self._sources}
        if REQUEST in self:
            whole[REQUEST] = self[REQUEST]
        return whole
