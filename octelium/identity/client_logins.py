"""A command line signs in because a person who is signed in in a browser lets it.

What it gets is the token of a Credential that authenticates once, within a minute, only a client,
and, where the login began with a code challenge, only who has the verifier. So every check of a
login by authentication token holds for these too, and what restricts the browser's Session
restricts the command line's.
https://octelium.com/docs/octelium/latest/management/core/credential
"""

from __future__ import annotations

import logging
import secrets
import string
import time
import uuid
from typing import TYPE_CHECKING, Final

from octelium.identity import approved, credentials, own_sessions
from octelium.identity.errors import AuthenticationError, RefusedError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.keys import Keyring
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

_LOG = logging.getLogger(__name__)
_SECONDS: Final = 60
_CHARACTERS: Final = string.ascii_lowercase + string.digits


class ClientLogins:
    """Lets command lines in."""

    def __init__(
        self, resources: Resources, keyring: Keyring, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._resources = resources
        self._keyring = keyring
        self._clock = clock

    async def approve(self, session_uid: str, code_challenge: bytes, *, operation: str) -> str:
        """The authentication token of a Credential for one login as the User of a Session.

        `code_challenge` is the SHA-256 of a verifier, empty for none. Whoever calls has
        authenticated the Session, which is a browser's.

        Raises:
            AuthenticationError: the Session may do nothing at present, or is not a person's own.
        """
        signer = self._keyring.signer  # without one nothing is to be stored
        session = self._resources.peek(core.Session, uid=session_uid)
        author = None if session is None else reference(session)
        try:
            async with self._resources.transaction(Actor(author, operation)) as tx:
                now = int(self._clock())
                asking = own_sessions.caller(tx, session_uid, now)
                credential = _credential(tx, asking, code_challenge, now)
        except AuthenticationError as error:
            _LOG.debug("%s refused: %s", operation, error.for_log)
            raise
        return credentials.token_of(signer, credential)


def _credential(
    tx: Transaction, asking: core.Session, code_challenge: bytes, now: int
) -> core.Credential:
    if not asking.status.is_browser:
        raise RefusedError("only a person in a browser lets command lines in")
    user = tx.get(core.User, uid=asking.status.user_ref.uid)
    if user.spec.type != core.UserSpecType__.HUMAN:
        raise RefusedError(f"User {user.metadata.name} is no person")
    credential = core.Credential()
    credential.metadata.name = _name(tx)
    spec = credential.spec
    spec.type = core.CredentialSpecType__.AUTH_TOKEN
    spec.user = user.metadata.name
    spec.session_type = core.SessionStatusType__.CLIENT
    spec.max_authentications = 1
    spec.auto_delete = True
    spec.expires_at.seconds = now + _SECONDS
    status = credential.status
    status.user_ref.CopyFrom(reference(user))
    status.id = f"{_random(4)}-{_random(4)}"
    status.token_id = str(uuid.uuid4())
    if code_challenge:
        status.pkce.code_challenge = code_challenge
    approved.mark(credential, asking)
    return tx.create(credential)


def _name(tx: Transaction) -> str:
    name = f"auth-token-{_random(8)}"
    while tx.peek(core.Credential, name=name) is not None:
        name = f"auth-token-{_random(8)}"
    return name


def _random(length: int) -> str:
    return "".join(secrets.choice(_CHARACTERS) for _ in range(length))
