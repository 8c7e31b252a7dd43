"""From the JSON form to messages, strictly.

Accepts what protobuf's JSON mapping accepts (https://protobuf.dev/programming-guides/json/): JSON
or snake_case field names, enum values by name or number, 64-bit integers as text or number. Beyond
that nothing is guessed and nothing ignored: an unknown field, a second spelling of one field, two
members of a oneof, a value of another type or range is a problem with a place and a remedy.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from octelium.schema import container_forms, fields
from octelium.schema.json_scalars import Mismatch, Scalar, describe, free_number, scalar_of, text
from octelium.schema.suggestion import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from octelium.schema.errors import Step

MAX_STRUCT_DEPTH = 24
"""Levels of objects and lists in a free-form field, so that its bytes stay parseable: protobuf
readers stop at 100 nested messages, and one level of a Struct takes up to three."""

_MAX_DEPTH = 100
_MAX_KEY = 100
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:(?:[Tt]|[ \t]+)(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?[ \t]*"
    r"(Z|z|[+-]\d\d:\d\d)?)?"
)
_LENGTH = re.compile(r"(\d+) ?(ms|s|m|h|d|w|mo|sec|min|hour|day|week|month)s?")
_UNITS = {
    "ms": "milliseconds",
    "s": "seconds",
    "sec": "seconds",
    "m": "minutes",
    "min": "minutes",
    "h": "hours",
    "hour": "hours",
    "d": "days",
    "day": "days",
    "w": "weeks",
    "week": "weeks",
    "mo": "months",
    "month": "months",
}


class Problem(NamedTuple):
    """A fault at a place in the value."""

    steps: tuple[Step, ...]
    problem: str
    remedy: str


def read(message: Message, value: Any, *, most: int = 50) -> list[Problem]:
    """Fill an empty message from its JSON form.

    Returns the problems found, up to `most`; the message is complete only when there is none.
    """
    reading = _Reading(most)
    descriptor = fields.descriptor_of(message)
    with contextlib.suppress(_Enough):
        if descriptor.full_name == fields.STRUCT:
            reading.struct(message, value)
        else:
            reading.message(message, plan_of(descriptor), value)
    return reading.problems


class _Enough(Exception):  # noqa: N818  (no error of the program)
    """As many problems as are wanted have been found."""


class _Field:
    """How one field is read. Exactly one of `scalar` and `plan` is set, or `special`."""

    __slots__ = (
        "is_map",
        "is_repeated",
        "json_name",
        "name",
        "oneof",
        "plan",
        "scalar",
        "special",
    )

    def __init__(self, field: FieldDescriptor) -> None:
        self.name = field.name
        self.json_name = field.json_name
        self.is_map = fields.is_map(field)
        self.is_repeated = field.is_repeated
        oneof = field.containing_oneof
        self.oneof = None if oneof is None or len(oneof.fields) == 1 else oneof.name
        if self.is_map:
            entry = fields.message_type(field).fields_by_name
            if entry["key"].type != FieldDescriptor.TYPE_STRING:
                raise TypeError(f"{field.full_name}: only maps with text keys are read")
            field = entry["value"]
        self.scalar: Scalar | None = None
        self.plan: _Plan | None = None
        self.special: Callable[[_Reading, Any, Any], None] | None = None
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            self.scalar = scalar_of(field)
        else:
            descriptor = fields.message_type(field)
            if descriptor.full_name == fields.TIMESTAMP:
                self.special = _Reading.timestamp
            elif descriptor.full_name == fields.STRUCT:
                self.special = _Reading.struct
            elif descriptor.full_name.startswith("google.protobuf."):
                raise TypeError(f"{field.full_name}: {descriptor.full_name} is not read")
            else:
                self.plan = plan_of(descriptor)


class _Plan:
    """How one message type is read."""

    __slots__ = ("_by_key", "descriptor")

    def __init__(self, descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        self._by_key: dict[str, _Field] | None = None

    @property
    def by_key(self) -> dict[str, _Field]:
        """The fields by every accepted spelling; made at first use, as types may nest."""
        if self._by_key is None:
            self._by_key = {
                key: reader
                for field in self.descriptor.fields
                for reader in (_Field(field),)
                for key in fields.spellings(field)
            }
        return self._by_key


_plans: dict[str, _Plan] = {}


def plan_of(descriptor: Descriptor) -> _Plan:
    """The reading plan of a message type."""
    plan = _plans.get(descriptor.full_name)
    if plan is None:
        plan = _plans[descriptor.full_name] = _Plan(descriptor)
    return plan


class _Reading:
    """One run: the place where it is and the problems that it met."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.place: list[Step] = []
        self.problems: list[Problem] = []

    def refuse(self, problem: str, remedy: str = "", *steps: Step) -> None:
        self.problems.append(Problem((*self.place, *steps), problem, remedy))
        if len(self.problems) >= self.most:
            raise _Enough

    def message(self, message: Any, plan: _Plan, value: Any) -> None:
        if not isinstance(value, dict):
            self.refuse(*_not_an_object(plan.descriptor, value))
            return
        if len(self.place) > _MAX_DEPTH:
            self.refuse("nested too deeply")
            return
        by_key = plan.by_key
        seen: dict[str, str] = {}
        for key, item in value.items():
            field = by_key.get(key)
            if field is None:
                shown = key[:_MAX_KEY] if isinstance(key, str) else repr(key)[:_MAX_KEY]
                self.refuse(*_unknown_field(plan.descriptor, key), shown)
                continue
            if item is None:
                continue
            self.place.append(key)
            slot = field.oneof or field.name
            if slot in seen:
                self.refuse(
                    f"given together with {seen[slot]}",
                    "keep one of the two" if field.oneof else "both names mean the same field",
                )
            else:
                seen[slot] = key
                self.field(message, field, item)
            self.place.pop()

    def field(self, message: Any, field: _Field, value: Any) -> None:
        if field.is_map:
            self.map(getattr(message, field.name), field, value)
        elif field.is_repeated:
            self.list(getattr(message, field.name), field, value)
        elif field.scalar is not None:
            try:
                setattr(message, field.name, field.scalar(value))
            except Mismatch as mismatch:
                self.refuse(mismatch.problem, mismatch.remedy)
        else:
            child = getattr(message, field.name)
            child.SetInParent()
            self.child(child, field, value)

    def child(self, child: Any, field: _Field, value: Any) -> None:
        if field.plan is not None:
            self.message(child, field.plan, value)
        else:
            assert field.special is not None
            field.special(self, child, value)

    def list(self, target: Any, field: _Field, value: Any) -> None:
        if not isinstance(value, list):
            remedy = "write [ ] around it, or - before it" if value != "" else ""
            self.refuse(f"expected a list, got {describe(value)}", remedy)
            return
        for index, item in enumerate(value):
            self.place.append(index)
            if item is None:
                self.refuse("an entry of a list is empty", "remove it or give it a value")
            elif field.scalar is not None:
                try:
                    target.append(field.scalar(item))
                except Mismatch as mismatch:
                    self.refuse(mismatch.problem, mismatch.remedy)
            else:
                self.child(target.add(), field, item)
            self.place.pop()

    def map(self, target: Any, field: _Field, value: Any) -> None:
        if not isinstance(value, dict):
            self.refuse(f"expected an object, got {describe(value)}", "write KEY: VALUE pairs")
            return
        for key, item in value.items():
            self.place.append(key)
            if item is None:
                self.refuse("the value is empty", 'write "" for an empty text')
            else:
                try:
                    if field.scalar is not None:
                        target[text(key)] = field.scalar(item)
                    else:
                        self.child(target[text(key)], field, item)
                except Mismatch as mismatch:
                    self.refuse(mismatch.problem, mismatch.remedy)
            self.place.pop()

    def timestamp(self, target: Any, value: Any) -> None:
        found = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
        remedy = 'write an RFC 3339 time such as "2030-01-31T23:59:00Z"'
        if found is None:
            self.refuse(f"expected a time, got {describe(value)}", remedy)
            return
        date, clock, fraction, zone = found.groups(default="")
        zone = "+00:00" if zone in {"", "Z", "z"} else zone
        try:
            instant = dt.datetime.fromisoformat(f"{date}T{clock or '00:00:00'}{zone}")
            since = instant - _EPOCH
        except (ValueError, OverflowError):
            self.refuse(f"{value!r} is not a time that exists", remedy)
            return
        seconds = since.days * 86400 + since.seconds
        if not -62135596800 <= seconds <= 253402300799:
            self.refuse(f"{value!r} is outside the years 1 to 9999", remedy)
            return
        target.seconds = seconds
        target.nanos = int(fraction.ljust(9, "0")) if fraction else 0

    def struct(self, target: Any, value: Any) -> None:
        if not isinstance(value, dict):
            self.refuse(f"expected an object, got {describe(value)}", "write KEY: VALUE pairs")
        elif self.struct_is_sound(value, 0):
            target.update(value)

    def struct_is_sound(self, value: Any, depth: int) -> bool:
        if depth > MAX_STRUCT_DEPTH:
            self.refuse(f"nested more than {MAX_STRUCT_DEPTH} levels deep", "flatten it")
            return False
        items: Any = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        elif isinstance(value, bool) or value is None:
            return True
        elif isinstance(value, str):
            return self.struct_scalar(text, value)
        elif isinstance(value, int | float):
            return self.struct_scalar(free_number, value)
        else:
            self.refuse(f"{describe(value)} cannot stand here")
            return False
        sound = True
        for key, item in items:
            self.place.append(key)
            named = isinstance(value, list) or self.struct_scalar(text, key)
            sound = named and self.struct_is_sound(item, depth + 1) and sound
            self.place.pop()
        return sound

    def struct_scalar(self, check: Scalar, value: Any) -> bool:
        try:
            check(value)
        except Mismatch as mismatch:
            self.refuse(mismatch.problem, mismatch.remedy)
            return False
        return True


def _not_an_object(descriptor: Descriptor, value: Any) -> tuple[str, str]:
    problem = f"expected an object, got {describe(value)}"
    if descriptor.full_name == fields.DURATION:
        found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        example = f"{{{_UNITS[found[2]]}: {found[1]}}}" if found else "{hours: 8}"
        return problem, f"write a length of time as {example}"
    if descriptor.full_name == fields.CONDITION and isinstance(value, str):
        return problem, "write a CEL condition as {match: '...'}"
    if remedy := container_forms.of_text(descriptor, value):
        return problem, remedy
    if isinstance(value, str) and "from_secret" in descriptor.fields_by_name:
        return problem, "name a Secret: {fromSecret: NAME}"
    return problem, "write KEY: VALUE pairs"


_PART_OF_TEXT: Final = frozenset("()='\"")
"""In no field's name: what has them is a part of a text in `{match: f(x, y)}`."""


def _unknown_field(descriptor: Descriptor, key: Any) -> tuple[str, str]:
    if not isinstance(key, str):
        return f"expected a field name, got {describe(key)}", ""
    if not _PART_OF_TEXT.isdisjoint(key):
        return "unknown field", "a comma in brackets ends a text; put the whole text in quotes"
    if remedy := container_forms.of_key(descriptor, key):
        return "unknown field", remedy
    known = [field.json_name for field in descriptor.fields]
    below = _path_below(descriptor, key)
    if below is not None and closest(key, known) is None:
        return "unknown field", f"did you mean {below}?"
    fields_here = f"fields here: {', '.join(known)}" if known else "no field can stand here"
    return "unknown field", did_you_mean(key, known, otherwise=fields_here)


def _path_below(descriptor: Descriptor, key: str, depth: int = 2) -> str | None:
    """Where a field of this name stands in a sub-message, so that a slip of level is noticed."""
    for field in descriptor.fields:
        if field.message_type is None or field.is_repeated or fields.is_map(field):
            continue
        if field.message_type.full_name.startswith("google.protobuf."):
            continue
        for child in field.message_type.fields:
            if key in fields.spellings(child):
                return f"{field.json_name}.{child.json_name}"
    if depth > 1:
        for field in descriptor.fields:
            if field.message_type is not None and not field.is_repeated:
                found = _path_below(field.message_type, key, depth - 1)
                if found is not None:
                    return f"{field.json_name}.{found}"
    return None
