"""Message classes of every schema package, built from `descriptors.binpb` by Google's protobuf.

Each `<package>_pb2` module takes its classes from here; its `.pyi` stub gives them types. An enum
`E` is scoped in a wrapper message: its values are `E__.NAME`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from google.protobuf import (  # noqa: F401  (their files must be in the default pool first)
    descriptor_pool,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.Default()
    raw = resources.files(__name__).joinpath("descriptors.binpb").read_bytes()
    for file in _files(raw):
        pool.AddSerializedFile(file)
    return pool


def _files(descriptor_set: bytes) -> Iterator[bytes]:
    """The serialized files of a FileDescriptorSet, whose only field is the list of them.

    Read by hand: the classes that describe descriptors take longer to import than all of ours.
    """
    at = 0
    while at < len(descriptor_set):
        if descriptor_set[at] != 0x0A:
            raise ValueError("descriptors.binpb is damaged")
        at += 1
        length = shift = 0
        while True:
            byte = descriptor_set[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield descriptor_set[at : at + length]
        at += length


def load(package: str) -> dict[str, Any]:
    """The classes of one package (`core_v1`), by name, with `DESCRIPTOR`."""
    file = _load().FindFileByName(f"octelium/schema/pb/{package}.proto")
    classes: dict[str, Any] = {
        name: message_factory.GetMessageClass(descriptor)
        for name, descriptor in file.message_types_by_name.items()
    }
    classes["DESCRIPTOR"] = file
    return classes
