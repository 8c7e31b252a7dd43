"""Signing in with a passkey alone: no name, no other factor, a new Session of a browser.

Anybody can ask for a challenge, so none is kept: each carries its end and a code that only this
process can make. What is kept are those that were answered well, until they end.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

from octelium.identity import admission, credential_logins, sessions
from octelium.identity.authenticators import authentications, passkey_logins, uses
from octelium.identity.authenticators.errors import CloneError, WrongResponseError
from octelium.identity.errors import DisabledUserError, RefusedError, SessionLimitError
from octelium.identity.sessions import Beginning
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from octelium.identity.attempts import Attempt
    from octelium.identity.authenticators.relying_party import RelyingParty
    from octelium.identity.provider_rules import AuthenticatorRules
    from octelium.identity.sessions import Locate
    from octelium.identity.tokens import TokenClaims
    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction

LIFETIME: Final = 2 * 60
"""Seconds in which a response must come."""
_NONCE_BYTES: Final = 12
_CODE_BYTES: Final = 16
_NOT_OFFERED: Final = "this Cluster does not let people sign in with a passkey alone"
PASSKEY: Final = core.SessionStatusAuthenticationInfoAuthenticatorMode__.PASSKEY
_CLIENTLESS: Final = core.SessionStatusType__.CLIENTLESS


class PasskeyChallenges:
    """Challenges of 32 bytes, each for one sign-in within `LIFETIME`."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._answered: dict[bytes, int] = {}

    def new(self, now: int) -> bytes:
        """A challenge."""
        body = secrets.token_bytes(_NONCE_BYTES) + (now + LIFETIME).to_bytes(4, "big")
        return body + self._code(body)

    def check(self, challenge: bytes, now: int) -> None:
        """Raises WrongResponseError for one that is not of here, too old, or answered already."""
        body, code = challenge[:-_CODE_BYTES], challenge[-_CODE_BYTES:]
        if len(body) != _NONCE_BYTES + 4 or not hmac.compare_digest(code, self._code(body)):
            raise WrongResponseError("the challenge is not of this Cluster")
        if int.from_bytes(body[_NONCE_BYTES:], "big") <= now:
            raise WrongResponseError("the challenge is too old")
        if challenge in self._answered:
            raise WrongResponseError("the challenge was answered already")

    def consume(self, challenge: bytes, now: int) -> None:
        """Have `check` refuse this one from here on."""
        for old in [one for one, ends in self._answered.items() if ends <= now]:
            del self._answered[old]
        self._answered[challenge] = now + LIFETIME

    def _code(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_CODE_BYTES]


def check_offered(store: Reader, config: core.ClusterConfig) -> None:
    """Raises RefusedError where nobody signs in with passkeys."""
    if not passkey_logins.is_offered(store, config):
        raise RefusedError(_NOT_OFFERED)


def sign_in(
    tx: Transaction,
    party: RelyingParty,
    rules: AuthenticatorRules,
    challenges: PasskeyChallenges,
    response: str,
    previous: TokenClaims | None,
    attempt: Attempt,
    locate: Locate,
    now: int,
) -> core.Session | RefusedError:
    """A new browser's Session; the one that the browser had of the same User ends.

    What is refused before the signature is verified leaves no trace, for anybody can send it.
    After that it is counted with the Authenticator, so it is returned and not raised; but for
    Users who are barred, who learn that and change nothing, and for those with too many Sessions.
    """
    config = admission.cluster_config(tx)
    check_offered(tx, config)
    claim = party.passkey_claim(response)
    challenges.check(claim.challenge, now)
    found = _authenticator(tx, claim.id_hash)
    user = tx.find(core.User, uid=found.status.user_ref.uid)
    if user is None or user.metadata.uid != claim.user_uid:
        raise WrongResponseError("the credential is another User's")
    attempt.concerns(user=user, authenticator=found)
    if user.spec.type != core.UserSpecType__.HUMAN:
        raise RefusedError(f"User {user.metadata.name} is no HUMAN")
    if not passkey_logins.is_allowed(found, config):
        raise RefusedError(_NOT_OFFERED, detail="enablePasskeyLogin is off")
    info = authentications.new_info(found, PASSKEY)
    sessions.describe_downstream(info, attempt.downstream, config, locate)
    try:
        assertion = party.verify(
            response,
            claim.challenge,
            found.status.info.fido,
            user,
            require_verification=True,
            discoverable=True,
        )
        credential_logins.check_user(user)
        authentications.take_assertion(found, assertion, info)
        check_rules(rules, config, found, user, info, now)
        admission.end_previous(tx, previous, user, now)
        session = open_session(tx, config, found, user, info, now)
    except WrongResponseError as error:
        if not isinstance(error, CloneError):
            raise
        return _refused(tx, found, error, challenges, claim.challenge, now)
    except SessionLimitError:
        raise
    except DisabledUserError:
        challenges.consume(claim.challenge, now)
        raise
    except RefusedError as error:
        return _refused(tx, found, error, challenges, claim.challenge, now)
    challenges.consume(claim.challenge, now)
    uses.count(found, now)
    found.status.total_authentication_attempts += 1
    tx.update(found)
    return session


def check_rules(
    rules: AuthenticatorRules,
    config: core.ClusterConfig,
    found: core.Authenticator,
    user: core.User,
    info: core.SessionStatusAuthenticationInfo,
    now: int,
) -> None:
    """Raises RefusedError where the Cluster's rules refuse the Session that is to begin."""
    draft = sessions.begin(_beginning(user, info), config, "", now)
    draft.status.authentication.ClearField("token_id")
    draft.status.initial_authentication.ClearField("token_id")
    rules.post_authenticator(config, found, user, draft, info)


def open_session(
    tx: Transaction,
    config: core.ClusterConfig,
    found: core.Authenticator,
    user: core.User,
    info: core.SessionStatusAuthenticationInfo,
    now: int,
) -> core.Session:
    """A new browser's Session, which is authenticated again with the same passkey.

    Raises:
        SessionLimitError: the User has as many as it may have.
    """
    session = admission.open_session(tx, _beginning(user, info), config, now)
    session.status.required_authenticator_ref.CopyFrom(reference(found))
    return tx.update(session)


def _beginning(user: core.User, info: core.SessionStatusAuthenticationInfo) -> Beginning:
    return Beginning(user=user, type=_CLIENTLESS, info=info, is_browser=True)


def _authenticator(tx: Transaction, id_hash: bytes) -> core.Authenticator:
    for one in tx.peek_all(core.Authenticator, by={"status.info.fido.idHash": id_hash.hex()}):
        active = one.spec.state == core.AuthenticatorSpecState__.ACTIVE
        if one.status.is_registered and active:
            return tx.get(core.Authenticator, uid=one.metadata.uid)
    raise WrongResponseError("no registered, ACTIVE Authenticator has this credential")


def _refused(
    tx: Transaction,
    found: core.Authenticator,
    error: RefusedError,
    challenges: PasskeyChallenges,
    challenge: bytes,
    now: int,
) -> RefusedError:
    challenges.consume(challenge, now)
    kept = tx.get(core.Authenticator, uid=found.metadata.uid)
    kept.status.total_authentication_attempts += 1
    authentications.count_failure(kept, error, now)
    tx.update(kept)
    return error
