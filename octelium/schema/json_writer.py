"""From messages to their JSON form.

The form is protobuf's canonical JSON mapping (https://protobuf.dev/programming-guides/json/) with
default options: fields that are unset or have their default are left out, enums are names, 64-bit
integers are text, bytes base64, timestamps RFC 3339. Contexts of decisions are made of it, so it
must be fast: one conversion per field is chosen when a message type is met for the first time.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from octelium.schema import fields

if TYPE_CHECKING:
    from google.protobuf.message import Message

Convert = Callable[[Any], Any]
_Plan = dict[str, tuple[str, Convert | None]]


def write(message: Message) -> dict[str, Any]:
    """The JSON form of a message."""
    descriptor = fields.descriptor_of(message)
    if descriptor.full_name == fields.STRUCT:
        return _struct(message)
    return _write(message, plan_of(descriptor))


def _write(message: Any, plan: _Plan) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, convert = plan[field.name]
        out[name] = value if convert is None else convert(value)
    return out


_plans: dict[str, _Plan] = {}


def plan_of(descriptor: Descriptor) -> _Plan:
    """For each field of a type: its JSON name and how its value is converted (None: as it is)."""
    plan = _plans.get(descriptor.full_name)
    if plan is None:
        plan = {}
        _plans[descriptor.full_name] = plan  # before its fields: types may contain themselves
        for field in descriptor.fields:
            plan[field.name] = (field.json_name, _conversion(field))
    return plan


def _conversion(field: FieldDescriptor) -> Convert | None:
    if fields.is_map(field):
        entry = fields.message_type(field).fields_by_name
        return _of_map(_of_key(entry["key"]), _of_one(entry["value"]))
    convert = _of_one(field)
    if not field.is_repeated:
        return convert
    return list if convert is None else _of_list(convert)


def _of_map(key: Convert | None, convert: Convert | None) -> Convert:
    def converted(value: Any) -> dict[str, Any]:
        return {
            name if key is None else key(name): item if convert is None else convert(item)
            for name, item in sorted(value.items())
        }

    return converted


def _of_key(field: FieldDescriptor) -> Convert | None:
    if field.type == FieldDescriptor.TYPE_STRING:
        return None
    return _boolean_key if field.type == FieldDescriptor.TYPE_BOOL else str


def _boolean_key(key: bool) -> str:
    return "true" if key else "false"


def _of_list(convert: Convert) -> Convert:
    return lambda value: [convert(item) for item in value]


def _of_one(field: FieldDescriptor) -> Convert | None:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _of_message(fields.message_type(field))
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _of_enum(fields.enum_type(field))
    if field.type in fields.INTEGERS_64:
        return str
    return _SCALARS.get(field.type)


def _of_message(descriptor: Descriptor) -> Convert:
    if descriptor.full_name == fields.TIMESTAMP:
        return lambda value: value.ToJsonString()
    if descriptor.full_name == fields.STRUCT:
        return _struct
    plan = plan_of(descriptor)
    return lambda value: _write(value, plan)


def _of_enum(descriptor: EnumDescriptor) -> Convert:
    names = {value.number: value.name for value in reversed(descriptor.values)}
    return lambda value: names.get(value, value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float(value: float) -> float | str:
    """The shortest decimal that means the same 32-bit number."""
    if not math.isfinite(value):
        return _double(value)
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == value:
            return short
    return value


def _struct(value: Any) -> dict[str, Any]:
    return {name: _value(item) for name, item in sorted(value.fields.items())}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return [_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if math.isfinite(number) and number.is_integer() else _double(number)
    if kind == "null_value" or kind is None:
        return None
    return getattr(value, kind)


_SCALARS: dict[int, Convert] = {
    FieldDescriptor.TYPE_BYTES: _base64,
    FieldDescriptor.TYPE_FLOAT: _float,
    FieldDescriptor.TYPE_DOUBLE: _double,
}
