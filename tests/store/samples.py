"""Resources and writes as small as they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.interface import Write
from octelium.store.vault import Vault

if TYPE_CHECKING:
    from octelium.store.resources import Resources

START = 1_700_000_000.0


class Clock:
    """Unix seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def vault(key: bytes = b"k" * 32) -> Vault:
    return Vault([key])


def write(
    uid: str,
    data: bytes = b"data",
    *,
    kind: str = "Thing",
    name: str = "",
    deleted: bool = False,
    erase: bool = False,
) -> Write:
    name = name or f"name-of-{uid}"
    return Write(kind, uid, name, 1, b"" if deleted else data, deleted=deleted, erase=erase)


def named(name: str) -> meta.Metadata:
    return meta.Metadata(name=name)


def group(name: str) -> core.Group:
    return core.Group(metadata=named(name))


def secret(name: str, value: str) -> core.Secret:
    return core.Secret(metadata=named(name), data=core.SecretData(value=value))


def session(name: str, *, user: str = "", authentications: int = 0) -> core.Session:
    message = core.Session(metadata=named(name))
    message.spec.state = core.SessionSpecState__.ACTIVE
    if user:
        message.status.user_ref.uid = user
    for index in range(authentications):
        message.status.last_authentications.add(token_id=f"token-{index}" * 10)
    return message


async def put(resources: Resources, message: core.Group | core.Secret | core.Session) -> str:
    """Create a resource in a transaction of its own and return its uid."""
    async with resources.transaction() as tx:
        return tx.create(message).metadata.uid
