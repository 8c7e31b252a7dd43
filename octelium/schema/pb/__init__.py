"""Message classes of every schema package, built from `descriptors.binpb` by Google's protobuf.

Each `<package>_pb2` module takes its classes from here; its `.pyi` stub gives them types. An enum
`E` is scoped in a wrapper message: its values are `E__.NAME`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from google.protobuf import (  # noqa: F401  (their files must be in the default pool first)
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)


@cache
def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.Default()
    raw = resources.files(__name__).joinpath("descriptors.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(raw).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def load(package: str) -> dict[str, Any]:
    """The classes of one package (`core_v1`), by name, with `DESCRIPTOR`."""
    file = _load().FindFileByName(f"octelium/schema/pb/{package}.proto")
    classes: dict[str, Any] = {
        name: message_factory.GetMessageClass(descriptor)
        for name, descriptor in file.message_types_by_name.items()
    }
    classes["DESCRIPTOR"] = file
    return classes
