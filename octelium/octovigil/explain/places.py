"""What of `ctx` can be made otherwise, and by which edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain.moves import (
    NOTHING,
    OTHERS,
    STATE,
    USER,
    Move,
    is_sayable,
    join_group,
    leave_groups,
    named,
    send,
    send_without,
    set_field,
    unset_field,
)
from octelium.octovigil.received import can_be_sent
from octelium.policy.cel.parts import shown
from octelium.policy.cel.times import format_duration, format_timestamp
from octelium.policy.cel.values import Duration, Timestamp, UInt
from octelium.schema.errors import render_path

if TYPE_CHECKING:
    from octelium.octovigil.explain.supposition import Supposition
    from octelium.octovigil.triggers import Parties
    from octelium.replica.replica import Entry

Path = tuple[str, ...]

GROUPS: Final = ("user", "spec", "groups")

_MAX_VALUE: Final = 2000
_ALWAYS_SENT: Final = frozenset({"method", "path", "host", "uri", "headers"})
"""Members of an HTTP request that cannot be left out."""
_OPEN: Final = (("spec", "attrs"), ("metadata", "labels"))
"""Where administrators keep what they like."""
_FIXED: Final = (
    ("metadata", "uid"),
    ("metadata", "name"),
    ("status", "userRef"),
    ("status", "deviceRef"),
)
_STATES: Final = {
    "session": (("spec", "state"), ("status", "type")),
    "device": (("spec", "state"),),
}


class NoJsonError(ValueError):
    """A value that has no JSON form."""


class Places:
    """The editable places of one supposition."""

    def __init__(self, supposition: Supposition, parties: Parties) -> None:
        self._supposition = supposition
        self._parties = parties

    def set(self, path: Path, value: object) -> list[Move]:
        """Moves after which `value`, of CEL, stands at `path` below `ctx`."""
        try:
            form = to_json(value)
        except NoJsonError:
            return []
        if form is None or len(repr(form)) > _MAX_VALUE or not is_sayable(path):
            return []
        if path == GROUPS:
            return self._only_groups(form)
        if path[:1] == ("request",):
            possible = self._can_send(path[1:]) and can_be_sent(path[1:], form)
            return [send(path[1:], form)] if possible else []
        entry, rest = self._entry(path)
        if entry is None:
            return []
        cost = self._cost(path[0], entry, rest)
        if cost is None:
            return []
        if rest[0] == "metadata" and not isinstance(form, str):
            return []
        text = f"set {render_path(rest)} of {named(entry)} to {shown(form)}"
        return [set_field(entry, rest, form, text, cost)]

    def unset(self, path: Path) -> list[Move]:
        """Moves after which nothing stands at `path`."""
        if not is_sayable(path):
            return []
        if path[:1] == ("request",):
            rest = path[1:]
            if not self._can_send(rest) or self._is_essential(rest):
                return []
            return [send_without(rest)]
        entry, rest = self._entry(path)
        if entry is None or path == GROUPS:
            return []
        cost = self._cost(path[0], entry, rest)
        if cost is None or (path[0], rest[:2]) == ("session", ("status", "type")):
            return []
        text = f"remove {render_path(rest)} of {named(entry)}"
        return [unset_field(entry, rest, text, cost)]

    def join(self, group: str) -> list[Move]:
        """Moves that make the User a member of a Group, which must exist."""
        user = self._parties.user
        if user is None or group not in self._supposition.replica.groups_by_name:
            return []
        return [NOTHING] if group in user.groups else [join_group(user, group)]

    def leave(self, *groups: str) -> list[Move]:
        """Moves that end the User's membership in Groups."""
        user = self._parties.user
        if user is None:
            return []
        left = [group for group in user.groups if group in groups]
        return [leave_groups(user, left)] if left else [NOTHING]

    def _only_groups(self, wanted: Any) -> list[Move]:
        """Becoming a member of all of a list; who is in others stays there."""
        if not isinstance(wanted, list) or len(wanted) != 1 or not isinstance(wanted[0], str):
            return []
        return self.join(wanted[0])

    def _can_send(self, path: Path) -> bool:
        supposition = self._supposition
        if supposition.request is None or not path:
            return False
        # A request keeps its form: what is an HTTP request does not become a gRPC call.
        if len(path) > 1 and not isinstance(supposition.request.get(path[0]), dict):
            return False
        return not any(
            path[: len(unknown)] == unknown or unknown[: len(path)] == path
            for unknown in supposition.unknown
        )

    def _is_essential(self, path: Path) -> bool:
        if len(path) < 2:
            return path != ("ip",)
        return "http" in path and path[path.index("http") + 1 :][:2] in {
            (),
            *((name,) for name in _ALWAYS_SENT),
        }

    def _entry(self, path: Path) -> tuple[Entry[Any] | None, Path]:
        if len(path) < 2 or path[0] not in ("user", "session", "device", "service", "namespace"):
            return None, ()
        return getattr(self._parties, path[0]), path[1:]

    def _cost(self, name: str, entry: Entry[Any], path: Path) -> int | None:
        if name == "session" and path[:2] == ("status", "ext"):
            return None  # what an IdentityProvider has told is nobody's to set
        if entry.uid in self._supposition.supposed:
            fixed = any(path[: len(each)] == each[: len(path)] for each in _FIXED)
            return None if fixed else STATE
        if entry.message.metadata.is_system:
            return None
        if any(path[:2] == each and len(path) > 2 for each in _OPEN):
            return USER if name == "user" else OTHERS
        if path in _STATES.get(name, ()):
            return STATE
        return None


def to_json(value: object) -> Any:
    """A CEL value in JSON, whole numbers as such.

    Raises:
        NoJsonError: it has no JSON form.
    """
    match value:
        case None | bool() | str():
            return value
        case UInt() | int():
            return int(value)
        case float() if value.is_integer() and abs(value) < 1e15:
            return int(value)
        case float() if value - value == 0:
            return value
        case list():
            return [to_json(item) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {str(key): to_json(item) for key, item in value.items()}
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
    raise NoJsonError(f"{type(value).__name__} has no JSON form")
