"""Edits by what they mean, with their costs and their words.

The costs order changes of the same number of edits: what somebody can do by asking otherwise comes
before what an administrator does to a Session, to memberships, to Users, to attachments, to rules.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain.edits import (
    ADD,
    REMOVE,
    SET,
    UNSET,
    Edit,
    EditError,
    parse_path,
)
from octelium.policy.cel.parts import shown
from octelium.policy.cel.unparse import escaped
from octelium.schema.errors import render_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.replica.replica import Entry
    from octelium.schema.errors import Step

REQUEST: Final = 1
STATE: Final = 2
MEMBERSHIP: Final = 3
USER: Final = 4
OTHERS: Final = 5
ATTACHMENT: Final = 6
RULE: Final = 8

MAX_EDITS: Final = 4
"""Edits of one move."""


@dataclass(frozen=True, slots=True)
class Move:
    """Edits that belong together, in the hope that they turn something round."""

    edits: tuple[Edit, ...]
    cost: int

    @property
    def key(self) -> tuple[str, ...]:
        """The same for moves that do the same."""
        return tuple(sorted(edit.key for edit in self.edits))

    @property
    def rank(self) -> tuple[int, int]:
        """The fewest edits first, then the cheapest."""
        return len(self.edits), self.cost


NOTHING: Final = Move((), 0)


def together(left: Move, right: Move) -> Move | None:
    """Both moves; None if they are too many edits, or contradict each other."""
    edits = {(edit.kind, edit.uid, edit.path, edit.action): edit for edit in left.edits}
    for edit in right.edits:
        place = edit.kind, edit.uid, edit.path
        for action in (SET, UNSET):
            known = edits.get((*place, action))
            if known is not None and known.key != edit.key:
                return None
    known_keys = {edit.key for edit in left.edits}
    added = tuple(edit for edit in right.edits if edit.key not in known_keys)
    merged = (*left.edits, *added)
    if len(merged) > MAX_EDITS:
        return None
    return Move(merged, left.cost + (right.cost if added else 0))


def _move(cost: int, *edits: Edit) -> Move:
    return Move(edits, cost * len(edits))


def is_sayable(path: tuple[Step, ...]) -> bool:
    """Whether a path can be written down and read again."""
    try:
        return parse_path(render_path(path)) == path
    except EditError:
        return False


# --- the request


def send(path: tuple[Step, ...], value: Any) -> Move:
    """The request with a value at a path below `ctx.request`."""
    text = f"send it with {_part(path)} {shown(value)}"
    if path == ("ip",):
        text = f"send it from {escaped(str(value))}"
    return _move(REQUEST, Edit("", "", "", path, SET, value, text))


def send_without(path: tuple[Step, ...]) -> Move:
    """The request without what stands at a path."""
    return _move(REQUEST, Edit("", "", "", path, UNSET, None, f"send it without {_part(path)}"))


def _part(path: tuple[Step, ...]) -> str:
    """What people call a part of a request."""
    names = tuple(path)
    if "http" in names:
        inner = names[names.index("http") + 1 :]
        match inner:
            case ("method" | "path" | "host" | "uri" as name,):
                return f"the {'URI' if name == 'uri' else name}"
            case ("headers", str(name)):
                return f"the header {name}"
            case ("queryParams", str(name)):
                return f"the query parameter {name}"
    return f"ctx.request.{render_path(path)}"


def come_as(session: Entry[Any], user: str) -> Move:
    """The request from a Session."""
    text = f"sign in; from Session {session.name} of User {user} it would come through"
    return _move(STATE, Edit("Session", session.name, session.uid, (), SET, session.name, text))


# --- fields of resources


def set_field(entry: Entry[Any], path: tuple[Step, ...], value: Any, text: str, cost: int) -> Move:
    """A resource with a value at a path."""
    return _move(cost, Edit(entry.kind, entry.name, entry.uid, path, SET, value, text))


def unset_field(entry: Entry[Any], path: tuple[Step, ...], text: str, cost: int) -> Move:
    """A resource without what stands at a path."""
    return _move(cost, Edit(entry.kind, entry.name, entry.uid, path, UNSET, None, text))


def add_item(entry: Entry[Any], path: tuple[Step, ...], item: Any, text: str, cost: int) -> Move:
    """A resource with one more item in a list."""
    return _move(cost, Edit(entry.kind, entry.name, entry.uid, path, ADD, item, text))


def remove_item(entry: Entry[Any], path: tuple[Step, ...], item: Any, text: str, cost: int) -> Move:
    """A resource with one item less in a list."""
    return _move(cost, Edit(entry.kind, entry.name, entry.uid, path, REMOVE, item, text))


def named(entry: Entry[Any]) -> str:
    """A resource in words."""
    return f"{entry.kind} {entry.name}"


def join_group(user: Entry[Any], group: str) -> Move:
    """A User who is a member of one more Group."""
    text = f"add User {user.name} to Group {group}"
    return add_item(user, ("spec", "groups"), group, text, MEMBERSHIP)


def leave_groups(user: Entry[Any], groups: Iterable[str]) -> Move:
    """A User who is no member of some Groups."""
    edits = [
        Edit("User", user.name, user.uid, ("spec", "groups"), REMOVE, group, text)
        for group in groups
        for text in (f"remove User {user.name} from Group {group}",)
    ]
    return _move(MEMBERSHIP, *edits)


def attach(entry: Entry[Any], policy: str) -> Move:
    """A resource with one more Policy attached."""
    text = f"attach Policy {policy} to {named(entry)}"
    return add_item(entry, ("spec", "authorization", "policies"), policy, text, ATTACHMENT)


def stamp(seconds: float) -> str:
    """RFC 3339 of Unix seconds, in whole seconds."""
    moment = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    return moment.isoformat().replace("+00:00", "Z")
