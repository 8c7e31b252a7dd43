"""The shapes of protobuf messages in their JSON form.

The form is protobuf's canonical JSON mapping (https://protobuf.dev/programming-guides/json/):
fields with their default are absent, 64-bit integers, enums, bytes and timestamps are texts. To
CEL all numbers of it are doubles.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from octelium.policy.shape.shape import (
    BOOL,
    DOUBLE,
    OPEN,
    OPEN_LIST,
    OPEN_MAP,
    STRING,
    Kind,
    Meaning,
    Shape,
    list_of,
    map_of,
)
from octelium.schema import fields
from octelium.schema.suggestion import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WELL_KNOWN: Final = {
    fields.STRUCT: OPEN_MAP,
    fields.TIMESTAMP: Shape(Kind.STRING, meaning=Meaning.INSTANT),
    "google.protobuf.Value": OPEN,
    "google.protobuf.ListValue": OPEN_LIST,
}


_SESSION_EXT: Final = "octelium.api.main.core.v1.SessionStatus.ext"


class KnownMembers:
    """Members of which the form is known, beside others of which it is not.

    With `others` None there are no others. What is spelt almost like a known one is no other.
    """

    __slots__ = ("_members", "_others")

    def __init__(self, members: Mapping[str, Shape], others: Shape | None = None) -> None:
        self._members = members
        self._others = others

    def get(self, name: str) -> Shape | None:
        """What may stand at a member; None if there is no such member."""
        known = self._members.get(name)
        if known is not None or self._others is None:
            return known
        return self._others if closest(name, self._members) is None else None

    def names(self) -> Iterable[str]:
        """The members of a known form."""
        return self._members

    def elsewhere(self, name: str) -> str:  # noqa: ARG002 - the Protocol's signature
        """They are the same everywhere."""
        return ""


_FROM_PROVIDER: Final = Shape(
    Kind.MAP, members=KnownMembers({"name": STRING, "groups": list_of(STRING)})
)
"""What a Session keeps of the assertion by which it was authenticated."""


class MessageMembers:
    """The members of a message; shapes are made when they are asked for: types may recur.

    Without `sparse`, defaults may stand in fields as other values do.
    """

    __slots__ = ("_fields", "_shapes", "_sparse")

    def __init__(self, descriptor: Descriptor, *, sparse: bool) -> None:
        self._fields = {field.json_name: field for field in descriptor.fields}
        self._shapes: dict[str, Shape] = {}
        self._sparse = sparse

    def get(self, name: str) -> Shape | None:
        """What may stand at a member; None if there is no such member."""
        known = self._shapes.get(name)
        if known is None and (field := self._fields.get(name)) is not None:
            known = self._shapes[name] = _field_shape(field, sparse=self._sparse)
        return known

    def names(self) -> Iterable[str]:
        """The members that there may be."""
        return self._fields

    def elsewhere(self, name: str) -> str:  # noqa: ARG002 - the Protocol's signature
        """Messages have the same members everywhere."""
        return ""


@lru_cache(maxsize=1024)
def message_shape(descriptor: Descriptor, *, sparse: bool = True) -> Shape:
    """The shape of a message. `sparse`: its fields are absent where they have their default."""
    known = _WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return known
    return Shape(Kind.MAP, members=MessageMembers(descriptor, sparse=sparse))


def _field_shape(field: FieldDescriptor, *, sparse: bool) -> Shape:
    if field.full_name == _SESSION_EXT:
        known = KnownMembers({"identityProvider": _FROM_PROVIDER}, others=OPEN_MAP)
        shape = Shape(Kind.MAP, members=known)
    elif fields.is_map(field):
        value = fields.message_type(field).fields_by_name["value"]
        shape = map_of(_single(value, sparse=sparse))
    elif field.is_repeated:
        shape = list_of(_single(field, sparse=sparse))
    else:
        shape = _single(field, sparse=sparse)
        if field.has_presence:
            return shape
    return shape.as_sparse() if sparse else shape


def _single(field: FieldDescriptor, *, sparse: bool) -> Shape:
    """The shape of one value of a field."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return message_shape(fields.message_type(field), sparse=sparse)
    if field.type == FieldDescriptor.TYPE_ENUM:
        values = fields.enum_type(field).values
        zero = next((value.name for value in values if value.number == 0), "")
        return Shape(Kind.STRING, values=tuple(value.name for value in values), zero=zero)
    if field.type in fields.INTEGERS_64:
        return Shape(Kind.STRING, meaning=Meaning.NUMBER)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return BOOL
    if field.type == FieldDescriptor.TYPE_STRING:
        return STRING
    if field.type == FieldDescriptor.TYPE_BYTES:
        return Shape(Kind.STRING, meaning=Meaning.DATA)
    return DOUBLE
