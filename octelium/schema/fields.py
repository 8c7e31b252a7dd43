"""What the readers and writers of messages ask of a field's descriptor."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

if TYPE_CHECKING:
    from google.protobuf.message import Message

TIMESTAMP = "google.protobuf.Timestamp"
STRUCT = "google.protobuf.Struct"
DURATION = "octelium.api.main.meta.v1.Duration"
CONDITION = "octelium.api.main.core.v1.Condition"

INTEGERS_64 = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_SINT64,
    }
)

INTEGER_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}


def descriptor_of(message: Message) -> Descriptor:
    """The type of a message."""
    return cast("Descriptor", message.DESCRIPTOR)


def message_type(field: FieldDescriptor) -> Descriptor:
    """The type of a field that holds messages."""
    assert field.message_type is not None
    return field.message_type


def enum_type(field: FieldDescriptor) -> EnumDescriptor:
    """The type of a field that holds enum values."""
    assert field.enum_type is not None
    return field.enum_type


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map, which descriptors show as a list of entries."""
    return (
        field.type == FieldDescriptor.TYPE_MESSAGE
        and field.is_repeated
        and message_type(field).GetOptions().map_entry
    )


def spellings(field: FieldDescriptor) -> set[str]:
    """The keys that mean a field in input: its JSON name and its snake_case name."""
    return {field.json_name, field.name, field.name.rstrip("_")}
