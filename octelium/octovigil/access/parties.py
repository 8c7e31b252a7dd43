"""Who takes part, as far as conditions look at it.

Conditions read one or two fields of a resource, and many resources agree in these. What a
condition sees of a party is made once for all parties that agree, so it is evaluated only once for
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.openmap import ANYTHING, OpenMap
from octelium.policy.cel.values import SECOND, Timestamp, normalized
from octelium.policy.context import REQUEST
from octelium.policy.projection import project, tree_of
from octelium.policy.shape.request import ADDRESS, MEMBER
from octelium.schema.modes import HTTP_MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from octelium.policy.cel.openmap import Values
    from octelium.policy.cel.reads import Path
    from octelium.replica.replica import (
        DeviceEntry,
        Entry,
        GroupEntry,
        NamespaceEntry,
        ServiceEntry,
        SessionEntry,
        UserEntry,
    )

NOW: Final[Path] = ("now()",)
"""In place of a path: the time of the request is read."""

_SUBJECT: Final = frozenset({"user", "groups", "session", "device"})
_PLACE: Final = frozenset({"service", "namespace"})
_ASKED: Final = frozenset({REQUEST, NOW[0]})

_HTTP: Final[Mapping[str, Values]] = {
    "method": ANYTHING,
    "path": ANYTHING,
    "uri": ANYTHING,
    "host": ANYTHING,
    "headers": ANYTHING,
    "scheme": ("http", "https"),
}
"""What every HTTP request has."""
_PRESENT: Final[Mapping[str, Mapping[str, Values]]] = {
    "http": _HTTP,
    "grpc": dict.fromkeys(("package", "service", "serviceFullName", "method"), ANYTHING),
    "dns": dict.fromkeys(("name", "typeID"), ANYTHING),
}
"""What requests of a kind have, by the member of `ctx.request` that says their kind."""
_INNER: Final[Mapping[str, Mapping[str, Mapping[str, Values]]]] = {
    "grpc": {"http": _HTTP},
    "kubernetes": {"http": _HTTP},
    "mcp": {"http": _HTTP},
    "llm": {"http": _HTTP},
    "ssh": {"connect": {"user": ANYTHING}},
    "socks5": {"connect": dict.fromkeys(("host", "port", "addressType"), ANYTHING)},
}
"""What stands in the objects within that."""

_MAYBE_TRUE: Final[Values] = (True,)
_APART: Final = frozenset({"lastAuthentications", "lastConnections"})


class Part:
    """What of a party is seen. `maybe` are members of `ctx` that there may be; `complete` tells
    that nothing of it is unknown. By identity.
    """

    __slots__ = ("complete", "maybe", "now", "value")

    def __init__(
        self, value: Mapping[str, Any], maybe: Mapping[str, Values], now: Timestamp | None = None
    ) -> None:
        self.value = value
        self.maybe = maybe
        self.now = now
        self.complete = not maybe and not any(
            isinstance(member, OpenMap) for member in value.values()
        )


class Parts:
    """Makes parts, each only once."""

    def __init__(self) -> None:
        self._made: dict[str, Part] = {}
        self._groups: dict[GroupEntry, Any] = {}
        self.recalled: dict[frozenset[Path], dict[tuple[object, ...], Part]] = {}
        """Of remembered requests, by the paths and what stands there."""

    def make(
        self, value: Mapping[str, Any], maybe: Mapping[str, Values], now: Timestamp | None = None
    ) -> Part:
        """The part with this value."""
        key = repr((value, maybe, now))
        part = self._made.get(key)
        if part is None:
            part = self._made[key] = Part(value, maybe, now)
        return part

    def group(self, entry: GroupEntry) -> Any:
        """A Group as conditions see it."""
        form = self._groups.get(entry)
        if form is None:
            form = self._groups[entry] = normalized(entry.json)
        return form


class Party:
    """One that takes part; `part` gives what is seen of it along some paths below `ctx`."""

    __slots__ = ("_parts", "_seen")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._seen: dict[frozenset[Path], Part] = {}

    def part(self, reads: frozenset[Path]) -> Part:
        """What conditions see that read these paths, all of which are the party's own."""
        part = self._seen.get(reads)
        if part is None:
            part = self._seen[reads] = self._see(reads)
        return part

    def _see(self, reads: frozenset[Path]) -> Part:
        raise NotImplementedError


class Subject(Party):
    """Who asks: a User with its Groups, in a Session. Without a User it is anybody.

    Without a Session it is a new one of which is known what holds for any that can be used;
    `types` are the types it can have.
    """

    __slots__ = ("_groups", "_types", "device", "session", "user")

    def __init__(
        self,
        parts: Parts,
        user: UserEntry | None = None,
        groups: Sequence[GroupEntry] = (),
        session: SessionEntry | None = None,
        device: DeviceEntry | None = None,
        types: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parts)
        self.user = user
        self._groups = groups
        self.session = session
        self.device = device
        self._types = types

    def _see(self, reads: frozenset[Path]) -> Part:
        value: dict[str, Any] = {}
        maybe: dict[str, Values] = {}
        for name in _names(reads, _SUBJECT):
            below = _below(reads, name)
            if name == "groups":
                if self._groups:
                    value[name] = [self._parts.group(group) for group in self._groups]
            elif name == "user":
                if self.user is not None:
                    value[name] = _form(self.user, below)
            elif name == "session":
                if self.session is not None:
                    value[name] = _form(self.session, below)
                elif self.user is not None:
                    value[name] = self._new_session(self.user, below)
            elif self.device is not None:
                value[name] = _form(self.device, below)
            elif self.session is None and self.user is not None:
                maybe[name] = ANYTHING
        return self._parts.make(value, maybe)

    def _new_session(self, user: UserEntry, reads: frozenset[Path]) -> OpenMap:
        status: dict[str, Any] = {}
        if any(path[:1] == ("status",) and path[1:2] in ((), ("userRef",)) for path in reads):
            reference = {"apiVersion": "core/v1", "kind": "User", "uid": user.uid}
            status["userRef"] = OpenMap({**reference, "name": user.name})
        present: dict[str, Values] = {"authentication": ANYTHING}
        if len(self._types) == 1:
            status["type"] = self._types[0]
        else:
            present["type"] = self._types
        maybe = {
            "authenticatorAction": ("AUTHENTICATION_RECOMMENDED", "REGISTRATION_RECOMMENDED"),
            "isBrowser": _MAYBE_TRUE,
            "isConnected": _MAYBE_TRUE,
        }
        return OpenMap(
            {
                "apiVersion": "core/v1",
                "kind": "Session",
                "metadata": OpenMap(present={"name": ANYTHING, "uid": ANYTHING}),
                "spec": OpenMap({"state": "ACTIVE"}, present={"expiresAt": ANYTHING}),
                "status": OpenMap(status, present=present, maybe=maybe, absent=("isLocked",)),
            },
            open=False,
        )


class Place(Party):
    """What is asked for: a Service and its Namespace."""

    __slots__ = ("asked", "namespace", "service")

    def __init__(self, parts: Parts, service: ServiceEntry, namespace: NamespaceEntry | None):
        super().__init__(parts)
        self.service = service
        self.namespace = namespace
        self.asked = Asked(parts, service.mode)
        """Any request to it."""

    def _see(self, reads: frozenset[Path]) -> Part:
        value: dict[str, Any] = {}
        for name in _names(reads, _PLACE):
            entry = self.service if name == "service" else self.namespace
            if entry is not None:
                value[name] = _form(entry, _below(reads, name))
        return self._parts.make(value, {})


class Asked(Party):
    """A request to a Service of some mode, of which nothing else is known."""

    __slots__ = ("_mode",)

    def __init__(self, parts: Parts, mode: int) -> None:
        super().__init__(parts)
        self._mode = mode

    def _see(self, reads: frozenset[Path]) -> Part:
        member = MEMBER.get(self._mode)
        if member is None or not _below(reads, REQUEST):
            return self._parts.make({}, {})
        known = {name: OpenMap(present=inner) for name, inner in _INNER.get(member, {}).items()}
        inner = OpenMap(known, present=_PRESENT.get(member))
        address = {ADDRESS: ANYTHING} if self._mode in HTTP_MODES else {}
        return self._parts.make({REQUEST: OpenMap({member: inner}, maybe=address, open=False)}, {})


class Recalled(Party):
    """A request that is remembered in part.

    `request` is `ctx.request` as far as it is known, None for a stream without one; `unknown` are
    the paths below it at which anything else may have stood. `at` are Unix seconds.
    """

    __slots__ = ("_at", "_request", "_unknown")

    def __init__(
        self,
        parts: Parts,
        request: Mapping[str, Any] | None,
        unknown: frozenset[Path],
        at: float,
    ) -> None:
        super().__init__(parts)
        self._request = request
        self._unknown = unknown
        self._at = at

    def _see(self, reads: frozenset[Path]) -> Part:
        seen = self._parts.recalled.setdefault(reads, {})
        at = self._at if NOW in reads or () in reads else None
        key = (at, *(self._value(path) for path in _below(reads, REQUEST)))
        part = seen.get(key)
        if part is None:
            now = None if at is None else Timestamp(int(at * SECOND))
            value = {} if self._request is None else {REQUEST: self._opened(self._request, ())}
            part = seen[key] = self._parts.make(value, {}, now)
        return part

    def _value(self, path: Path) -> object:
        """What tells the value at a path from others: a text as it is."""
        if self._request is None:
            return None
        value: Any = self._request
        for index, key in enumerate(path):
            if type(value) is not dict or key not in value:
                return index, any(path[: len(each)] == each for each in self._unknown)
            value = value[key]
        if type(value) is str and path not in self._unknown:
            return value
        return repr(value), any(each[: len(path)] == path for each in self._unknown)

    def _opened(self, value: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The object at a path, open where it is not known."""
        below = {each[len(path)] for each in self._unknown if each[:-1] == path}
        known: dict[str, Any] = {}
        present: dict[str, Values] = {}
        for key, item in value.items():
            if type(item) is dict:
                known[key] = self._opened(item, (*path, key))
            elif key in below:
                present[key] = ANYTHING
            else:
                known[key] = normalized(item)
        maybe = {key: ANYTHING for key in below if key not in value}
        is_open = path in self._unknown
        if is_open or below or any(isinstance(item, OpenMap) for item in known.values()):
            return OpenMap(known, present=present, maybe=maybe, open=is_open)
        return known


def split(reads: Iterable[Path]) -> tuple[frozenset[Path], frozenset[Path], frozenset[Path]]:
    """Those of `reads` that look at who asks, at what is asked for, and at the request."""
    paths = frozenset(reads)
    return (
        frozenset(path for path in paths if not path or path[0] in _SUBJECT),
        frozenset(path for path in paths if not path or path[0] in _PLACE),
        frozenset(path for path in paths if not path or path[0] in _ASKED),
    )


def _names(reads: frozenset[Path], own: frozenset[str]) -> Iterable[str]:
    """The members of `ctx` that are read."""
    return sorted(own if () in reads else {path[0] for path in reads} & own)


def _below(reads: frozenset[Path], name: str) -> frozenset[Path]:
    """What is read below a member of `ctx`."""
    if () in reads:
        return frozenset({()})
    return frozenset(path[1:] for path in reads if path[0] == name)


def _form(entry: Entry[Any], reads: frozenset[Path]) -> Any:
    """A resource as far as it is read."""
    if entry.kind == "Session" and any(_reaches_apart(path) for path in reads):
        return normalized(entry.json)
    tree = tree_of(reads)
    assert tree is not None
    return project(entry.message, tree)


def _reaches_apart(path: Path) -> bool:
    """Whether a path leads to what is stored apart from a Session's record."""
    return path in ((), ("status",)) or (path[:1] == ("status",) and path[1] in _APART)
