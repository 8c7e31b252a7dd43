"""Edits of the world of a supposition: what a sufficient change is made of.

An edit names a resource and a path below it in JSON names, or a path below `ctx.request`. What it
makes of a resource must be as valid as the resource was before.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format

from octelium.octovigil.explain.validity import fault
from octelium.policy.cel.values import normalized
from octelium.schema.errors import Invalid, Step, render_path
from octelium.schema.jsonform import from_json, to_json
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from octelium.octovigil.explain.supposition import Supposition
    from octelium.replica.replica import Entry, Replica

    Action: TypeAlias = ext.EditAction__.EditAction.ValueType

SET: Final = ext.EditAction__.SET
UNSET: Final = ext.EditAction__.UNSET
ADD: Final = ext.EditAction__.ADD
REMOVE: Final = ext.EditAction__.REMOVE

_SESSION: Final = "Session"
_ADDRESS: Final = ("ip",)
"""Where a request shows the client's address, which every stream has."""
_STEP: Final = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"])*)"\]')


class EditError(ValueError):
    """An edit that cannot be made: nothing stands where it leads, or the result is not valid."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit. `kind` is empty for the request itself; `value` is JSON.

    One of kind Session without a path means that the request comes from that Session.
    """

    kind: str
    name: str
    uid: str
    path: tuple[Step, ...]
    action: Action
    value: Any = None
    text: str = ""

    @property
    def key(self) -> str:
        """The same for edits that do the same."""
        return json.dumps([self.kind, self.uid, self.path, self.action, self.value], sort_keys=True)

    def message(self) -> ext.Edit:
        """The edit as the API has it."""
        made = ext.Edit(
            kind=self.kind,
            name=self.name,
            uid=self.uid,
            path=render_path(self.path),
            action=self.action,
            text=self.text,
        )
        if self.action != UNSET:
            json_format.ParseDict(self.value, made.value)
        return made


def edit_of(message: ext.Edit) -> Edit:
    """An edit out of the API's form.

    Raises:
        EditError: its path is none.
    """
    value = None
    if message.HasField("value"):
        value = _whole_numbers(json_format.MessageToDict(message.value))
    return Edit(
        message.kind,
        message.name,
        message.uid,
        parse_path(message.path),
        message.action,
        value,
        message.text,
    )


def _whole_numbers(value: Any) -> Any:
    """JSON with integers where protobuf's `Value` has doubles."""
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path such as `spec.rules[2].name` or `labels["a.b"]`.

    Raises:
        EditError: it is none.
    """
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise EditError(f"{text!r} is no path")
        name, index, key = match.groups()
        steps.append(int(index) if index is not None else name if name is not None else key)
        position = match.end()
    return tuple(steps)


def apply_edits(supposition: Supposition, edits: Iterable[Edit]) -> Supposition:
    """The supposition in a world of its own with the edits made.

    Raises:
        EditError: one cannot be made.
    """
    other = supposition.fork()
    make(other, list(edits))
    return other


def make(supposition: Supposition, edits: Sequence[Edit]) -> list[Any]:
    """Make the edits in this world; the resources as they were before, to be put back.

    Raises:
        EditError: one cannot be made; nothing was changed then.
    """
    forms: dict[tuple[str, str], tuple[Entry[Any], Any]] = {}
    request, session_uid = supposition.request, supposition.session_uid
    address, repeated = supposition.address, supposition.repeated
    for edit in edits:
        if not edit.kind:
            if edit.path == _ADDRESS and isinstance(edit.value, str):
                address = edit.value
            if request is not None:
                request = _edited(request, edit)
            elif edit.path != _ADDRESS:
                raise EditError("the stream has no request object")
            repeated = frozenset(path for path in repeated if not _meet(path, edit.path))
        elif edit.kind == _SESSION and not edit.path:
            session_uid = edit.uid
        else:
            key = edit.kind, edit.uid
            if key not in forms:
                entry = entry_of(supposition.replica, *key)
                forms[key] = entry, to_json(entry.message)
            entry, form = forms[key]
            forms[key] = entry, _edited(form, edit)
    made = [
        _valid(entry, form, supposition.replica, supposition.now) for entry, form in forms.values()
    ]
    before = [entry.message for entry, _ in forms.values()]
    supposition.put(made)
    if request is not None:
        request = normalized(request)  # type: ignore[assignment]  # an object stays one
    supposition.request, supposition.session_uid = request, session_uid
    supposition.address, supposition.repeated = address, repeated
    return before


def entry_of(replica: Replica, kind: str, uid: str) -> Entry[Any]:
    """A resource of the replica.

    Raises:
        EditError: there is none.
    """
    tables: dict[str, Any] = {
        "Namespace": replica.namespaces,
        "Service": replica.services,
        "User": replica.users,
        "Group": replica.groups,
        "Session": replica.sessions,
        "Device": replica.devices,
        "Policy": replica.policies,
    }
    found: Entry[Any] | None = None
    if kind in tables:
        found = tables[kind].get(uid)
    elif kind == "ClusterConfig":
        found = replica.cluster_config
    elif kind == "PolicyTrigger":
        sources = (trigger.source for trigger in replica.triggers)
        found = next((source for source in sources if source.uid == uid), None)
    if found is None:
        raise EditError(f"there is no {kind} {uid}")
    return found


# --- JSON


def _edited(form: Any, edit: Edit) -> Any:
    """A copy of a JSON value with an edit made in it; what is not touched is shared."""
    return _at(form, edit.path, edit)


def _at(value: Any, path: tuple[Step, ...], edit: Edit) -> Any:
    if not path:
        return _changed(value, edit)
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(value, list) or not 0 <= step < len(value):
            raise EditError(f"{render_path(edit.path)}: there is no item {step}")
        items = list(value)
        if not rest and edit.action == UNSET:
            del items[step]
        else:
            items[step] = _at(items[step], rest, edit)
        return items
    if value is not None and not isinstance(value, dict):
        raise EditError(f"{render_path(edit.path)}: {step} has no place there")
    members = dict(value or {})
    if not rest and edit.action == UNSET:
        members.pop(step, None)
    else:
        members[step] = _at(members.get(step), rest, edit)
    return members


def _changed(value: Any, edit: Edit) -> Any:
    match edit.action:
        case ext.EditAction__.SET:
            return edit.value
        case ext.EditAction__.ADD:
            if value is not None and not isinstance(value, list):
                raise EditError(f"{render_path(edit.path)}: is no list")
            return [*(value or []), edit.value]
        case ext.EditAction__.REMOVE:
            if not isinstance(value, list) or edit.value not in value:
                raise EditError(f"{render_path(edit.path)}: holds no such item")
            items = list(value)
            items.remove(edit.value)
            return items
    raise EditError(f"{render_path(edit.path)}: unknown action {edit.action}")


def _meet(path: tuple[str, ...], edited: tuple[Step, ...]) -> bool:
    """Whether one of two paths leads to the other, or both to the same."""
    shorter = min(len(path), len(edited))
    return path[:shorter] == edited[:shorter]


def _valid(entry: Entry[Any], form: Any, replica: Replica, now: float) -> Any:
    """The resource of a JSON form. Raises EditError if it is less valid than it was."""
    try:
        message = from_json(entry.message_class, form)
    except Invalid as error:
        raise EditError(str(error)) from None
    problem = fault(message, entry.message, replica, now)
    if problem and problem != fault(entry.message, entry.message, replica, now):
        raise EditError(f"{entry.kind} {entry.name}: {problem}")
    return message
