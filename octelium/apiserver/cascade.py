"""What goes with a deleted object, in the transaction that deletes it.

Doing it in the same transaction leaves no moment in which something revoked is still usable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.store.transaction import Transaction

_BELONGINGS = ("Session", "Device", "Authenticator", "Invitation")


def delete_belongings(tx: Transaction, user: core.User) -> None:
    """Delete the Sessions, Devices, Authenticators and the invitation of a User."""
    for kind in _BELONGINGS:
        _delete(tx, kind, {"status.userRef": user.metadata.uid})


def delete_device_sessions(tx: Transaction, device: core.Device) -> None:
    """Delete the Sessions that are bound to a Device."""
    _delete(tx, "Session", {"status.deviceRef": device.metadata.uid})


def _delete(tx: Transaction, kind: str, by: dict[str, str]) -> None:
    for message in tx.peek_all(kind, by=by):
        tx.delete(kind, message.metadata.uid)
