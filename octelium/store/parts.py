"""Parts of a resource that are stored apart from its record.

A Secret's data is apart because it is sealed, and destroyed with the Secret; a Config's because
it is large and never listed; a Session's lists of what once was because every request reads the
Session and none of those (5 kB against 66 kB when the lists are full).

A resource that does not carry its part leaves the stored part as it is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Part:
    """How one kind is taken apart and put together.

    `record_kind` is the kind under which the store keeps the part. `take` moves the part out of
    a message (None: the message carries none), `give` merges it back; both speak plain bytes.
    """

    record_kind: str
    take: Callable[[Any], bytes | None]
    give: Callable[[Any, bytes], object]
    sealed: bool = False
    compressed: bool = False

    def encode(self, vault: Vault, uid: str, plain: bytes) -> bytes:
        """The stored form of plain bytes."""
        packed = zlib.compress(plain, 1) if self.compressed else plain
        return vault.seal(self.record_kind, uid, packed) if self.sealed else packed

    def decode(self, vault: Vault, uid: str, stored: bytes) -> bytes:
        """Plain bytes of the stored form. Raises StoreUnusable when it was altered."""
        return self.unpack(vault.open(self.record_kind, uid, stored) if self.sealed else stored)

    def unpack(self, packed: bytes) -> bytes:
        """Plain bytes of what is not sealed. Raises StoreUnusable when it was altered."""
        try:
            return zlib.decompress(packed) if self.compressed else packed
        except zlib.error as error:
            raise StoreUnusable(f"a {self.record_kind} is damaged: {error}") from error


def _take_data(message: Any) -> bytes | None:
    if not message.HasField("data"):
        return None
    plain: bytes = message.data.SerializeToString(deterministic=True)
    message.ClearField("data")
    return plain


def _give_data(message: Any, plain: bytes) -> None:
    message.data.MergeFromString(plain)


def _take_lists(message: core.Session) -> bytes | None:
    if not message.status.last_authentications and not message.status.last_connections:
        return None
    apart = core.SessionStatus(
        last_authentications=message.status.last_authentications,
        last_connections=message.status.last_connections,
    )
    message.status.ClearField("last_authentications")
    message.status.ClearField("last_connections")
    return apart.SerializeToString(deterministic=True)


def _give_lists(message: core.Session, plain: bytes) -> None:
    message.status.MergeFromString(plain)


PARTS = {
    "Secret": Part("Secret.data", _take_data, _give_data, sealed=True),
    "Config": Part("Config.data", _take_data, _give_data),
    "Session": Part("Session.past", _take_lists, _give_lists, compressed=True),
}
"""The kinds that are stored in two records, by their names."""

OWNERS = {part.record_kind: kind for kind, part in PARTS.items()}
"""The kind that each part belongs to."""
