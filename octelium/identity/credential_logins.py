"""What a Credential leads to: a Session that begins, or one that is authenticated again.

Functions within the transaction that stores the Session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity import admission, credentials, sessions
from octelium.identity.errors import (
    AuthenticationError,
    CredentialUnusableError,
    DisabledUserError,
    RefusedError,
    SessionRefusedError,
)
from octelium.identity.sessions import Beginning, Downstream
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.identity.sessions import Locate, SessionType
    from octelium.store.transaction import Transaction


def check_user(user: core.User) -> None:
    """Raises DisabledUserError for a User that may hold no usable Session."""
    if sessions.is_user_barred(user):
        raise DisabledUserError(f"User {user.metadata.name} is disabled or locked")


def check_workload(user: core.User) -> None:
    """Raises RefusedError for a HUMAN."""
    if user.spec.type != core.UserSpecType__.WORKLOAD:
        raise RefusedError(f"User {user.metadata.name} is no WORKLOAD")


def begin(
    tx: Transaction,
    credential: core.Credential,
    user: core.User,
    session_type: SessionType,
    scopes: Sequence[core.Scope],
    downstream: Downstream,
    locate: Locate,
    now: int,
) -> core.Session:
    """A new Session of a Credential. Raises SessionLimitError."""
    config = admission.cluster_config(tx)
    info = credentials.info_of(credential)
    sessions.describe_downstream(info, downstream, config, locate)
    beginning = Beginning(
        user=user, type=session_type, info=info, credential=credential, scopes=scopes
    )
    return admission.open_session(tx, beginning, config, now)


def renew(
    tx: Transaction,
    session: core.Session,
    credential: core.Credential | None,
    info: core.SessionStatusAuthenticationInfo,
    downstream: Downstream,
    locate: Locate,
    now: int,
) -> core.Session:
    """A Session authenticated again, with what its Credential may by now.

    Raises SessionRefusedError.
    """
    if credential is not None:
        sessions.take_authorization(session, credential)
    sessions.describe_downstream(info, downstream, admission.cluster_config(tx), locate)
    sessions.renew(session, info, now)
    return tx.update(session)


def session_for_access_token(
    tx: Transaction, credential: core.Credential, now: int
) -> core.Session:
    """The Session of a Credential of type ACCESS_TOKEN, begun or authenticated again.

    Raises:
        CredentialUnusableError: it can have none.
        SessionLimitError: its User has as many Sessions as it may have.
    """
    # Whoever generates the token is not who will use it: nothing of this client is remembered.
    nobody = Downstream()
    name = credential.metadata.name
    try:
        user = credentials.user_of(tx, credential)
        check_user(user)
        check_workload(user)
        session = admission.session_of_credential(tx, credential, now)
    except AuthenticationError as error:
        raise CredentialUnusableError(f"Credential {name}: {error}") from error
    if session is None:
        session_type = credential.spec.session_type or core.SessionStatusType__.CLIENTLESS
        session = begin(tx, credential, user, session_type, (), nobody, sessions.nowhere, now)
    else:
        info = credentials.info_of(credential)
        try:
            session = renew(tx, session, credential, info, nobody, sessions.nowhere, now)
        except SessionRefusedError as error:
            raise CredentialUnusableError(f"Credential {name}: {error}") from error
    credentials.consume(tx, credential)
    return session
