"""The values by which resources are looked up besides uid and name.

An index is called by a JSON path: `specLabels.<key>`, `systemLabels.<key>` (both of the metadata),
`status.<field>Ref` (the uid of the resource referred to), and a few of single kinds.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import Descriptor

Value = tuple[str, str]
"""Name of an index, and a value in it."""

_REFERENCE = meta.ObjectReference.DESCRIPTOR.full_name

_OF_KIND: dict[str, dict[str, Callable[[Any], list[str]]]] = {
    "Authenticator": {
        "status.info.fido.idHash": lambda one: [one.status.info.fido.id_hash.hex()],
    },
    "Credential": {"status.id": lambda credential: [credential.status.id]},
    "Device": {
        "status.id": lambda device: [device.status.id],
        "status.serialNumber": lambda device: [device.status.serial_number],
    },
    "Invitation": {"status.tokenHash": lambda one: [one.status.token_hash.hex()]},
    "User": {"spec.groups": lambda user: list(user.spec.groups)},
}


def index_values(kind: str, message: Any) -> Iterator[Value]:
    """Every value under which a resource is found."""
    metadata = message.metadata
    for key, value in metadata.spec_labels.items():
        yield f"specLabels.{key}", value
    for key, value in metadata.system_labels.items():
        yield f"systemLabels.{key}", value
    for name, json_name in _references(message.status.DESCRIPTOR):
        uid = getattr(message.status, name).uid
        if uid:
            yield f"status.{json_name}", uid
    for index, values in _OF_KIND.get(kind, {}).items():
        for value in values(message):
            if value:
                yield index, value


@cache
def _references(status: Descriptor) -> tuple[tuple[str, str], ...]:
    return tuple(
        (field.name, field.json_name)
        for field in status.fields
        if field.message_type is not None
        and not field.is_repeated
        and field.message_type.full_name == _REFERENCE
    )
