"""From the JSON form to messages, strictly.

Accepts what protobuf's JSON mapping accepts (https://protobuf.dev/programming-guides/json/): JSON
or snake_case field names, enum values by name or number, 64-bit integers as text or number. Beyond
that nothing is guessed and nothing ignored: an unknown field, a second spelling of one field, two
members of a oneof, a value of another type or range is a problem with a place and a remedy.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from octelium.schema import fields
from octelium.schema.suggestion import closest, did_you_mean

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from octelium.schema.errors import Step

MAX_STRUCT_DEPTH = 24
"""Levels of objects and lists in a free-form field, so that its bytes stay parseable: protobuf
readers stop at 100 nested messages, and one level of a Struct takes up to three."""

_MAX_DEPTH = 100
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LARGEST_FLOAT = 3.4028234663852886e38
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
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


class _Mismatch(Exception):  # noqa: N818  (no error of the program)
    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class _Enough(Exception):  # noqa: N818  (no error of the program)
    """As many problems as are wanted have been found."""


_Scalar = Callable[[Any], Any]


class _Field:
    """How one field is read. Exactly one of `scalar` and `plan` is set, or `special`."""

    __slots__ = (
        "by_map_key",
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
        self.by_map_key: _Scalar | None = None
        if self.is_map:
            entry = fields.message_type(field).fields_by_name
            if entry["key"].type != FieldDescriptor.TYPE_STRING:
                raise TypeError(f"{field.full_name}: only maps with text keys are read")
            self.by_map_key = _text
            field = entry["value"]
        self.scalar: _Scalar | None = None
        self.plan: _Plan | None = None
        self.special: Callable[[_Reading, Any, Any], None] | None = None
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            self.scalar = _scalar(field)
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
                self.refuse(*_unknown_field(plan.descriptor, key), key)
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
            except _Mismatch as mismatch:
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
            self.refuse(f"expected a list, got {_describe(value)}", remedy)
            return
        for index, item in enumerate(value):
            self.place.append(index)
            if item is None:
                self.refuse("an entry of a list is empty", "remove it or give it a value")
            elif field.scalar is not None:
                try:
                    target.append(field.scalar(item))
                except _Mismatch as mismatch:
                    self.refuse(mismatch.problem, mismatch.remedy)
            else:
                self.child(target.add(), field, item)
            self.place.pop()

    def map(self, target: Any, field: _Field, value: Any) -> None:
        if not isinstance(value, dict):
            self.refuse(f"expected an object, got {_describe(value)}", "write KEY: VALUE pairs")
            return
        for key, item in value.items():
            self.place.append(key)
            if item is None:
                self.refuse("the value is empty", 'write "" for an empty text')
            elif field.scalar is not None:
                try:
                    assert field.by_map_key is not None
                    target[field.by_map_key(key)] = field.scalar(item)
                except _Mismatch as mismatch:
                    self.refuse(mismatch.problem, mismatch.remedy)
            else:
                self.child(target[key], field, item)
            self.place.pop()

    def timestamp(self, target: Any, value: Any) -> None:
        found = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
        remedy = 'write an RFC 3339 time such as "2030-01-31T23:59:00Z"'
        if found is None:
            self.refuse(f"expected a time, got {_describe(value)}", remedy)
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
            self.refuse(f"expected an object, got {_describe(value)}", "write KEY: VALUE pairs")
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
            return self.struct_scalar(_text, value)
        elif isinstance(value, int | float):
            return self.struct_scalar(_struct_number, value)
        else:
            self.refuse(f"{_describe(value)} cannot stand here")
            return False
        sound = True
        for key, item in items:
            self.place.append(key)
            named = not isinstance(key, str) or self.struct_scalar(_text, key)
            sound = named and self.struct_is_sound(item, depth + 1) and sound
            self.place.pop()
        return sound

    def struct_scalar(self, check: _Scalar, value: Any) -> bool:
        try:
            check(value)
        except _Mismatch as mismatch:
            self.refuse(mismatch.problem, mismatch.remedy)
            return False
        return True


# Scalars: each takes any value and returns the field's Python value or raises _Mismatch.


def _scalar(field: FieldDescriptor) -> _Scalar:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum(fields.enum_type(field))
    if field.type in fields.INTEGER_RANGES:
        return _integer(*fields.INTEGER_RANGES[field.type])
    return {
        FieldDescriptor.TYPE_STRING: _text,
        FieldDescriptor.TYPE_BOOL: _boolean,
        FieldDescriptor.TYPE_BYTES: _bytes,
        FieldDescriptor.TYPE_FLOAT: _float,
        FieldDescriptor.TYPE_DOUBLE: _double,
    }[field.type]


def _text(value: Any) -> str:
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _Mismatch("the text holds half of a surrogate pair") from None
        return value
    remedy = "put it in quotes" if isinstance(value, bool | int | float) else ""
    raise _Mismatch(f"expected text, got {_describe(value)}", remedy)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    remedy = "write true or false"
    if isinstance(value, str):
        meant = {"true": "true", "yes": "true", "on": "true", "y": "true", "1": "true"} | {
            "false": "false", "no": "false", "off": "false", "n": "false", "0": "false"
        }  # fmt: skip
        if value.lower() in meant:
            remedy = f"write {meant[value.lower()]}, without quotes"
    raise _Mismatch(f"expected true or false, got {_describe(value)}", remedy)


def _integer(least: int, most: int) -> _Scalar:
    def read_integer(value: Any) -> int:
        number: int
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif (isinstance(value, float) and value.is_integer()) or (
            isinstance(value, str) and _INTEGER.fullmatch(value)
        ):
            number = int(value)
        else:
            raise _Mismatch(f"expected a whole number, got {_describe(value)}")
        if not least <= number <= most:
            shown = str(number) if abs(number) < 10**30 else "the number"
            raise _Mismatch(f"{shown} is outside {least} to {most}")
        return number

    return read_integer


def _enum(descriptor: EnumDescriptor) -> _Scalar:
    numbers = {value.name: value.number for value in descriptor.values}
    known = set(numbers.values())

    def read_enum(value: Any) -> int:
        number = numbers.get(value) if isinstance(value, str) else None
        if number is not None:
            return number
        if isinstance(value, int) and not isinstance(value, bool) and value in known:
            return value
        names = [name for name, number in numbers.items() if number != 0]
        choices = f"one of {', '.join(names)}"
        if isinstance(value, str):
            remedy = did_you_mean(value, numbers, otherwise=choices)
            raise _Mismatch(f"{_clip(value)} is not a known value", remedy)
        raise _Mismatch(f"expected {choices}, got {_describe(value)}")

    return read_enum


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        text = value.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise _Mismatch("the text is not base64", "encode the bytes in base64") from None
    raise _Mismatch(f"expected base64 text, got {_describe(value)}")


def _double(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _Mismatch("the number is too large") from None
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, str) and re.fullmatch(
        r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", value
    ):
        return float(value)
    raise _Mismatch(f"expected a number, got {_describe(value)}")


def _float(value: Any) -> float:
    number = _double(value)
    if math.isfinite(number) and abs(number) > _LARGEST_FLOAT:
        raise _Mismatch("the number is too large")
    return number


def _struct_number(value: Any) -> Any:
    """A number that an object of free form keeps as it is: as a 64-bit floating-point one."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Mismatch("not a finite number")
    elif not _is_exact(value):
        raise _Mismatch("the number is too large to be kept exactly", "put it in quotes")
    return value


def _is_exact(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


# What is said.


def _clip(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int | float):
        number = str(value) if isinstance(value, float) or abs(value) < 10**30 else "a large one"
        return f"the number {number}"
    if isinstance(value, str):
        return f"the text {_clip(value)}"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _not_an_object(descriptor: Descriptor, value: Any) -> tuple[str, str]:
    problem = f"expected an object, got {_describe(value)}"
    if descriptor.full_name == fields.DURATION:
        found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        example = f"{{{_UNITS[found[2]]}: {found[1]}}}" if found else "{hours: 8}"
        return problem, f"write a length of time as {example}"
    if descriptor.full_name == fields.CONDITION and isinstance(value, str):
        return problem, "write a CEL condition as {match: '...'}"
    if isinstance(value, str) and "from_secret" in descriptor.fields_by_name:
        return problem, "name a Secret: {fromSecret: NAME}"
    return problem, "write KEY: VALUE pairs"


def _unknown_field(descriptor: Descriptor, key: Any) -> tuple[str, str]:
    if not isinstance(key, str):
        return f"expected a field name, got {_describe(key)}", ""
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
