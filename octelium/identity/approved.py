"""Sessions of command lines and machines that a person has let in from a browser.

What restricts the browser's Session restricts these too: its policies, what its IdentityProvider
told (groups), its assurance level. System labels remember where they come from, so that a renewal
finds an IdentityProvider that was switched off, or a browser's Session that was changed, rejected
or locked meanwhile. One that has ended by itself ends nothing: people sign out of browsers.
Functions within a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.identity import own_sessions, sessions
from octelium.identity.errors import RefusedError
from octelium.identity.provider_logins import EXT
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

APPROVER: Final = "octelium-approved-by"
"""System label: the uid of the browser's Session, on what it lets in and on its Credential."""
PROVIDER: Final = "octelium-approved-by-provider"
"""System label: the uid of the IdentityProvider which that Session began with."""


def mark(credential: core.Credential, asking: core.Session) -> None:
    """Have the Credential of one login give no more than the Session that lets it in may.

    Raises:
        RefusedError: that Session is limited to scopes, which a new one could leave.
    """
    if asking.status.scopes:
        raise RefusedError("a Session with scopes lets no command line in")
    own, given = asking.spec.authorization, credential.spec.authorization
    if own.policies or own.inline_policies:
        given.policies.extend(own.policies)
        given.inline_policies.extend(own.inline_policies)
    credential.metadata.system_labels[APPROVER] = asking.metadata.uid


def is_marked(credential: core.Credential) -> bool:
    """Whether a Credential was made to let one command line in."""
    return APPROVER in credential.metadata.system_labels


def inherit(
    tx: Transaction, session: core.Session, credential: core.Credential, now: int
) -> core.Session:
    """A new Session with what it takes over; unchanged if its Credential came of no approval.

    Raises:
        AuthenticationError: the Session that let it in may do nothing any more.
    """
    uid = credential.metadata.system_labels.get(APPROVER)
    if uid is None:
        return session
    approver = own_sessions.caller(tx, uid, now)
    labels = session.metadata.system_labels
    labels[APPROVER] = uid
    began = approver.status.initial_authentication.info.identity_provider
    if provider := began.identity_provider_ref.uid:
        labels[PROVIDER] = provider
    _take_told(session, approver)
    for authentication in (session.status.authentication, session.status.initial_authentication):
        authentication.info.aal = approver.status.authentication.info.aal
    return tx.update(session)


def follow(tx: Transaction, session: core.Session, now: int) -> None:
    """Have a Session that is renewed follow the one that let it in, if that still goes on.

    Raises:
        RefusedError: that one is not active or locked, or both were changed.
    """
    uid = session.metadata.system_labels.get(APPROVER)
    approver = tx.peek(core.Session, uid=uid) if uid else None
    if approver is None or sessions.is_over(approver, now):
        return
    active = approver.spec.state == core.SessionSpecState__.ACTIVE
    if approver.status.is_locked or not active:
        raise RefusedError("the browser's Session that let this one in is not active, or locked")
    sessions.take_authorization(session, approver)
    _take_told(session, approver)


def provider_uid(session: core.Session) -> str:
    """The IdentityProvider by which the person of a Session signed in; empty if by none."""
    began = session.status.initial_authentication.info.identity_provider
    return began.identity_provider_ref.uid or session.metadata.system_labels.get(PROVIDER, "")


def _take_told(session: core.Session, approver: core.Session) -> None:
    """Have a Session hold the groups that the IdentityProvider has told last."""
    own, told = session.status.ext, approver.status.ext
    if EXT in told:
        own[EXT].CopyFrom(told[EXT])
    elif EXT in own:
        del own[EXT]
