"""Hypothesis strategies for messages of the schema, made from their descriptors."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from octelium.schema import fields
from octelium.schema.kinds import KINDS

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(
    ["", "yes", "no", "null", "~", "1", "1.0", "0x1", "2020-01-01", "<<", "*a", "&a", "!x", "- a",
     "a: b", "# c", " x ", "a\nb", "a\n\n", "\t", "'", '"', "é", "\u2028", "\x85", "\ufeff", "=",
     "true", "1e5", "1E-2", "012", "1_000", ".inf", "{}", "[]", "|", ">", "%", "@", "`", "---",
     "...", "a\tb"]
)  # fmt: skip
FINITE = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
"""Without -0.0, which the JSON form of objects does not keep."""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def resources(*names: str) -> st.SearchStrategy[Any]:
    """Any message of one of the kinds, of every public kind by default."""
    kinds = [KINDS[name] for name in names] or [k for k in KINDS.values() if not k.internal]
    return st.sampled_from(kinds).flatmap(lambda kind: messages(kind.message))


@st.composite
def messages(draw: st.DrawFn, message_class: Any, depth: int = 5) -> Any:
    """Any message of a class: a few of its fields set, to values of their types."""
    message = message_class()
    descriptor: Descriptor = message_class.DESCRIPTOR
    if descriptor.full_name == fields.TIMESTAMP:
        message.seconds = draw(st.integers(-62135596800, 253402300799))
        message.nanos = draw(st.sampled_from([0, 1, 500_000_000, 999_999_999, 123_000]))
        return message
    if descriptor.full_name == fields.STRUCT:
        message.update(draw(st.dictionaries(TEXTS, JSON_VALUES, max_size=3)))
        return message
    if not descriptor.fields:
        return message
    chosen = draw(st.lists(st.sampled_from(list(descriptor.fields)), max_size=4, unique_by=_name))
    for field in chosen:
        if field.type == FieldDescriptor.TYPE_MESSAGE and depth == 0:
            continue
        _fill(draw, message, field, depth)
    return message


def _name(field: FieldDescriptor) -> str:
    return str(field.name)


def _fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    target = getattr(message, field.name)
    if fields.is_map(field):
        entry = fields.message_type(field).fields_by_name
        for key in draw(st.lists(TEXTS, max_size=3)):
            if entry["value"].message_type is None:
                target[key] = draw(scalars(entry["value"]))
            else:
                target[key].CopyFrom(draw(messages(type(target[key]), depth - 1)))
    elif field.message_type is not None:
        if field.is_repeated:
            for _ in range(draw(st.integers(0, 2))):
                added = target.add()
                added.CopyFrom(draw(messages(type(added), depth - 1)))
        else:
            target.SetInParent()
            target.CopyFrom(draw(messages(type(target), depth - 1)))
    elif field.is_repeated:
        target.extend(draw(st.lists(scalars(field), max_size=3)))
    else:
        setattr(message, field.name, draw(scalars(field)))


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Values of a field that holds neither messages nor maps."""
    if field.type in fields.INTEGER_RANGES:
        return st.integers(*fields.INTEGER_RANGES[field.type])
    if field.type == FieldDescriptor.TYPE_ENUM:
        return st.sampled_from([value.number for value in fields.enum_type(field).values])
    return {
        FieldDescriptor.TYPE_STRING: TEXTS,
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=12),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
        FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    }[field.type]
