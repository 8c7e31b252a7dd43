"""What a person may do with the Sessions of the same User. Functions within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity import sessions
from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

_REASONS = core.AccessLogEntryCommonReasonType__.AccessLogEntryCommonReasonType


def caller(tx: Transaction, uid: str, now: int) -> core.Session:
    """The Session that asks, if it may do anything at all.

    Raises:
        UnauthenticatedError: it is gone.
        RefusedError: it is over, suspended, rejected or locked, needs an Authenticator first, or
            its User or Device is barred.
    """
    session = tx.peek(core.Session, uid=uid) if uid else None
    user = None if session is None else tx.peek(core.User, uid=session.status.user_ref.uid)
    if session is None or user is None:
        raise UnauthenticatedError("the Session that asks, or its User, is gone")
    device_uid = session.status.device_ref.uid
    device = tx.peek(core.Device, uid=device_uid) if device_uid else None
    reason = sessions.unusable_because(session, user, device, now)
    if reason is not None:
        raise RefusedError(f"the Session that asks is refused: {_REASONS.Name(reason)}")
    return session


def revoke(tx: Transaction, asking: core.Session, uid: str) -> core.Session:
    """End one Session of the caller's User, the caller's own too; returns what it was.

    Raises:
        RefusedError: there is none of that uid. Whether others have it is not told.
    """
    session = tx.peek(core.Session, uid=uid) if uid else None
    if session is None or session.status.user_ref.uid != asking.status.user_ref.uid:
        raise RefusedError("you have no such Session")
    ended: core.Session = tx.delete("Session", uid)
    return ended


def revoke_others(tx: Transaction, asking: core.Session) -> list[core.Session]:
    """End every Session of the caller's User but the caller's; returns what they were."""
    own = {"status.userRef": asking.status.user_ref.uid}
    others = [
        session.metadata.uid
        for session in tx.peek_all(core.Session, by=own)
        if session.metadata.uid != asking.metadata.uid
    ]
    return [tx.delete("Session", uid) for uid in others]
