"""`ctx`, built no further than it is looked at.

Resources reach conditions in their JSON form with all numbers as doubles. Each is made when an
expression first asks for it, and then only the parts that some condition reads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.cel.values import normalized
from octelium.policy.projection import ALL, project, tree_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octelium.policy.cel.reads import Path
    from octelium.policy.projection import Tree
    from octelium.replica.replica import Entry

REQUEST: Final = "request"

_FORM_BYTES: Final = 12
"""Of a JSON form, for each byte on the wire."""
_COMPRESSED: Final = 3
"""Bytes of a Session's past for each of its packed form: it says the same again and again."""

_APART: Final = frozenset({"lastAuthentications", "lastConnections"})
"""Fields of a Session's status that stand apart from its record."""


def within_request(reads: frozenset[Path]) -> frozenset[Path]:
    """Those of `reads` that lead into `ctx.request`, from there on."""
    return frozenset(path[1:] for path in reads if path[:1] in ((), (REQUEST,)))


class Context(dict[str, Any]):
    """`ctx` over entries of the replica. Its `request` is unknown until `set_request`.

    `reads` are the paths that will be looked at. Only subscription and `in` are lazy; for an
    expression that looks at all of it, ask `full`.
    """

    __slots__ = ("_reads", "_sources", "_unknown")

    def __init__(
        self,
        sources: Mapping[str, Entry[Any] | None],
        groups: Sequence[Entry[Any]] = (),
        reads: frozenset[Path] = frozenset({()}),
    ) -> None:
        super().__init__()
        self._sources: dict[str, Entry[Any] | Sequence[Entry[Any]]] = {
            name: entry for name, entry in sources.items() if entry is not None
        }
        if groups:
            self._sources["groups"] = groups
        self._reads = reads
        self._unknown = True

    def narrow(self, reads: frozenset[Path]) -> None:
        """From here on only `reads` will be looked at."""
        self.clear()
        self._reads = reads

    @property
    def own_bytes(self) -> int:
        """About what the forms take that no other context shares, when they are made."""
        session: Any = self._sources.get("session")
        tree = tree_of(self._reads)
        if session is None or tree is None or (tree and "session" not in tree):
            return 0
        if not _reaches_apart(tree.get("session", ALL)):
            return 0
        return _FORM_BYTES * (len(session.data) + _COMPRESSED * len(session.past or b""))

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
        value: Any
        if isinstance(source, (list, tuple)):
            value = [_whole(entry) for entry in source]
        else:
            value = _form(source, key, self._reads)  # type: ignore[arg-type]  # not a sequence
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


def _form(entry: Entry[Any], name: str, reads: frozenset[Path]) -> dict[str, Any]:
    """The JSON form of the resource that stands at `name`, as far as `reads` lead."""
    tree = tree_of(reads)
    below = ALL if not tree else tree.get(name, ALL)
    if entry.kind == "Session" and _reaches_apart(below):
        return _normalized(entry)
    return _projected(entry, name, reads) if below else _whole(entry)


@lru_cache(maxsize=1024)
def _projected(entry: Entry[Any], name: str, reads: frozenset[Path]) -> dict[str, Any]:
    """A part of a resource, for all whose conditions read the same; not to be changed."""
    tree = tree_of(reads)
    assert tree
    return project(entry.parsed(), tree[name])


def _normalized(entry: Entry[Any]) -> dict[str, Any]:
    form = normalized(entry.json)
    assert isinstance(form, dict)
    return form


@lru_cache(maxsize=512)
def _whole(entry: Entry[Any]) -> dict[str, Any]:
    """All of a resource of a kind of which there are few, for all that ask; not to be changed."""
    return _normalized(entry)


def _reaches_apart(tree: Tree) -> bool:
    status = tree.get("status")
    if not tree or (status is not None and not status):
        return True
    return status is not None and not _APART.isdisjoint(status)
