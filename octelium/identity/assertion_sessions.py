"""Sessions of workloads that one assertion begins, and how many they may be.

Platforms hand out the same assertion for a while, and several programs may use it. So whoever
comes with one again gets the tokens of the Session that it has begun; whoever has captured one
cannot fill up the workload's Sessions with it. Functions within a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.identity import admission, sessions
from octelium.identity.errors import SessionLimitError, SessionRefusedError
from octelium.schema.durations import seconds
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.sessions import Beginning
    from octelium.store.transaction import Transaction

LABEL: Final = "octelium-assertion"
"""System label of a Session: the hash of the assertion that has begun it."""
MOST: Final = 8
"""Sessions of one assertion, which differ by their type or their scopes."""
_ACTIVE: Final = core.SessionSpecState__.ACTIVE


def again(tx: Transaction, token_hash: str, beginning: Beginning, now: int) -> core.Session | None:
    """The Session that the same assertion has begun, with the same type and scopes.

    Its tokens stay, so that the programs that share them do not end each other's, until half of
    the access token's life is over.

    Raises:
        SessionRefusedError: it is rejected or locked.
        SessionLimitError: the assertion has begun as many others as it may.
    """
    if not token_hash:
        return None
    own = [
        one
        for one in tx.peek_all(core.Session, by={f"systemLabels.{LABEL}": token_hash})
        if one.status.user_ref.uid == beginning.user.metadata.uid and not sessions.is_over(one, now)
    ]
    for one in own:
        if admission.is_refused(one):
            raise SessionRefusedError(
                f"Session {one.metadata.name} of this assertion is rejected or locked; "
                "a newer assertion begins another"
            )
        status = one.status
        if status.type == beginning.type and list(status.scopes) == list(beginning.scopes):
            found = tx.get(core.Session, uid=one.metadata.uid)
            found.metadata.system_labels[admission.SHARED] = "true"
            current = status.authentication
            if now - current.set_at.seconds >= seconds(current.access_token_duration) / 2:
                sessions.renew(found, beginning.info, now)
            return found
    if len(own) >= MOST:
        raise SessionLimitError(f"this assertion has begun {len(own)} Sessions, as many as it may")
    return None


def make_room(
    tx: Transaction, beginning: Beginning, config: core.ClusterConfig, now: int
) -> core.Session | None:
    """End the Session of the same workload and IdentityProvider that is longest without use.

    Only if the User has as many as it may have. Sessions that are connected, or that an
    administrator has rejected or locked, stay. Returns what was ended.
    """
    user = beginning.user
    own = [
        one
        for one in tx.peek_all(core.Session, by={"status.userRef": user.metadata.uid})
        if not sessions.is_over(one, now)
    ]
    if len(own) < sessions.rules(user, config).most:
        return None
    provider = _provider(beginning.info)
    candidates = [
        one
        for one in own
        if _provider(one.status.initial_authentication.info) == provider
        and one.spec.state == _ACTIVE
        and not one.status.is_locked
        and not one.status.is_connected
    ]
    if not candidates:
        return None
    oldest = min(candidates, key=lambda one: one.status.authentication.set_at.seconds)
    ended: core.Session = tx.delete("Session", oldest.metadata.uid)
    return ended


def _provider(info: core.SessionStatusAuthenticationInfo) -> str:
    return info.identity_provider.identity_provider_ref.uid
