"""Which Secrets a Service names, so that those who need them get these and no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from octelium.schema.containers import container_secrets, containers_of
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

_LITERAL = re.compile(r"""["'`]([a-z0-9][a-z0-9.-]{0,138}[a-z0-9])["'`]""")
_RULE = core.ServiceSpecDynamicConfigRule.DESCRIPTOR.full_name
_CONTAINER = core.ServiceSpecConfigUpstreamContainer.DESCRIPTOR.full_name


def secret_names(service: core.Service) -> frozenset[str]:
    """The names in every `fromSecret` of a Service, those in its `attrs` included.

    A rule that computes a configuration may name Secrets too: there, every text literal that
    could be a name counts as one. What its containers name is left out.
    """
    return frozenset(_in_message(service.spec))


def container_secret_names(service: core.Service) -> frozenset[str]:
    """The names in every `fromSecret` of a Service's containers."""
    return frozenset(
        name for _, one in containers_of(service.spec) for name in container_secrets(one)
    )


def _in_message(message: Message) -> Iterator[str]:
    if isinstance(message, Struct):
        yield from _in_struct(message)
    elif message.DESCRIPTOR.full_name != _CONTAINER:
        yield from _in_fields(message)


def _in_fields(message: Message) -> Iterator[str]:
    computes = message.DESCRIPTOR.full_name == _RULE
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in _messages(field, value):
                yield from _in_message(child)
        elif field.name == "from_secret":
            yield value
        elif computes and field.name in ("eval", "opa"):
            yield from _LITERAL.findall(value)


def _messages(field: Any, value: Any) -> Iterator[Message]:
    if not field.is_repeated:
        yield value
    elif field.message_type.GetOptions().map_entry:
        if field.message_type.fields_by_name["value"].message_type is not None:
            yield from value.values()
    else:
        yield from value


def _in_struct(struct: Struct) -> Iterator[str]:
    for key, value in struct.fields.items():
        if key == "fromSecret" and value.WhichOneof("kind") == "string_value":
            yield value.string_value
        yield from _in_value(value)


def _in_value(value: Value) -> Iterator[str]:
    if value.WhichOneof("kind") == "struct_value":
        yield from _in_struct(value.struct_value)
    elif value.WhichOneof("kind") == "list_value":
        values: ListValue = value.list_value
        for child in values.values:
            yield from _in_value(child)
