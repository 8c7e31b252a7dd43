"""Every way to authenticate without a browser, each as one transaction.

A request that is refused, at whichever step, leaves no trace in the store; of two requests at the
same moment that use up the same thing, one is refused.
"""

from __future__ import annotations

import hmac
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from octelium.identity import admission, credentials, sessions
from octelium.identity.errors import (
    AuthenticationError,
    CredentialUnusableError,
    RefusedError,
    SessionRefusedError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.scopes import parse_scopes
from octelium.identity.sessions import Beginning, Downstream
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.identity.admission import IssuedTokens
    from octelium.identity.keys import Keyring
    from octelium.identity.tokens import TokenClaims
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_TYPES = core.CredentialSpecType__
_INFO_TYPES = core.SessionStatusAuthenticationInfoType__


class Authentication:
    """Authenticates workloads, command lines and SDKs. All methods raise AuthenticationError.

    `operation` is the gRPC method (without its leading slash) or the path of the request, under
    which the store remembers the change.
    """

    def __init__(
        self,
        resources: Resources,
        keyring: Keyring,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._keyring = keyring
        self._clock = clock

    async def with_authentication_token(
        self,
        token: str,
        *,
        scopes: Sequence[str] = (),
        code_verifier: bytes = b"",
        downstream: Downstream,
        operation: str,
    ) -> IssuedTokens:
        """Begin a Session with the token of an AUTH_TOKEN Credential.

        Raises:
            ScopeError: `scopes` cannot be read.
        """
        wanted = parse_scopes(scopes) if scopes else []
        claims = self._claims(token, TokenType.CREDENTIAL)

        def begin(tx: Transaction, now: int) -> core.Session:
            credential = credentials.present(tx, claims, _TYPES.AUTH_TOKEN, now)
            credentials.check_verifier(credential, code_verifier)
            user = credentials.user_of(tx, credential)
            _check_user(user)
            session_type = credential.spec.session_type or sessions.type_for(downstream.user_agent)
            session = _open(tx, credential, user, session_type, wanted, downstream, now)
            credentials.consume(tx, credential)
            return session

        return await self._issue(begin, Actor(operation=operation))

    async def with_client_secret(
        self,
        client_id: str,
        client_secret: str,
        *,
        scopes: Sequence[str] | None = None,
        downstream: Downstream,
        operation: str,
    ) -> IssuedTokens:
        """Begin or renew the one Session of an OAUTH2 Credential.

        The scopes of the first request stay those of the Session; its policies are those that the
        Credential has at each request.

        Raises:
            ScopeError: `scopes` cannot be read.
        """
        wanted = [] if scopes is None else parse_scopes(scopes)
        claims = self._claims(client_secret, TokenType.CREDENTIAL)

        def begin_or_renew(tx: Transaction, now: int) -> core.Session:
            credential = credentials.present(tx, claims, _TYPES.OAUTH2, now)
            if not hmac.compare_digest(credential.status.id.encode(), client_id.encode()):
                raise UnauthenticatedError("the client secret belongs to another client")
            user = credentials.user_of(tx, credential)
            _check_user(user)
            _check_workload(user)
            session = admission.session_of_credential(tx, credential, now)
            if session is None:
                clientless = core.SessionStatusType__.CLIENTLESS
                session = _open(tx, credential, user, clientless, wanted, downstream, now)
            else:
                info = credentials.info_of(credential)
                session = _renew(tx, session, credential, info, downstream, now)
            credentials.consume(tx, credential)
            return session

        return await self._issue(begin_or_renew, Actor(operation=operation))

    async def with_refresh_token(
        self, token: str, *, downstream: Downstream, operation: str
    ) -> IssuedTokens:
        """Renew the Session of a refresh token; this token is dead afterwards.

        A Credential that began the Session and is disabled or locked by now refuses: whoever did
        that wants nothing more to come of it, and it can be undone. One that has expired, is used
        up or is gone does not: these only end what can be begun with it, and a Credential for one
        use deletes itself while its Session goes on.

        Raises:
            TooEarlyError: the present tokens are to be kept, and stay good.
        """
        claims = self._claims(token, TokenType.REFRESH)

        def renew(tx: Transaction, now: int) -> core.Session:
            session = admission.session_of_token(tx, claims, now)
            user = tx.find(core.User, uid=session.status.user_ref.uid)
            if user is None:
                raise UnknownUserError(f"the User of Session {session.metadata.name} is gone")
            sessions.check_refresh(session, user, now)
            origin = session.status.credential_ref.uid
            credential = tx.find(core.Credential, uid=origin) if origin else None
            if credential is not None and credentials.is_barred(credential):
                raise RefusedError(f"Credential {credential.metadata.name} is disabled or locked")
            info = core.SessionStatusAuthenticationInfo(
                type=_INFO_TYPES.REFRESH_TOKEN, aal=session.status.authentication.info.aal
            )
            return _renew(tx, session, credential, info, downstream, now)

        return await self._issue(renew, self._actor(claims, operation))

    def holder_of_access_token(self, token: str) -> core.Session | None:
        """The Session whose present access token this is; None for any other text.

        It may be suspended, rejected or locked: this is for telling people about themselves, and
        gives no right. What is returned is shared and must not be written to.
        """
        claims = self._keyring.verifier.verify(token, TokenType.ACCESS)
        if claims is None:
            return None
        session = self._resources.peek(core.Session, uid=claims.subject)
        if session is None or sessions.is_over(session, int(self._clock())):
            return None
        current = session.status.authentication.token_id
        return session if hmac.compare_digest(current, claims.token_id) else None

    async def log_out(self, token: str, *, operation: str) -> core.Session:
        """End the Session of a refresh token; returns what it was."""
        claims = self._claims(token, TokenType.REFRESH)

        def end(tx: Transaction, now: int) -> core.Session:
            session = admission.session_of_token(tx, claims, now)
            tx.delete("Session", session.metadata.uid)
            return session

        return await self._run(end, self._actor(claims, operation))

    def generate_token(self, tx: Transaction, credential: core.Credential) -> core.CredentialToken:
        """A new token for `credential`, as part of the caller's transaction; earlier ones die.

        For a Credential of type ACCESS_TOKEN its Session is begun or renewed, and its access token
        is the result.

        Raises:
            CredentialUnusableError: no token can be made for the Credential as it is.
            SessionLimitError: its User has as many Sessions as it may have.
        """
        now = int(self._clock())
        credential = credentials.replace_token(tx, credential, now)
        signer = self._keyring.signer
        match credential.spec.type:
            case _TYPES.AUTH_TOKEN:
                token = core.CredentialTokenAuthenticationToken(
                    authentication_token=credentials.token_of(signer, credential)
                )
                return core.CredentialToken(authentication_token=token)
            case _TYPES.OAUTH2:
                client = core.CredentialTokenOAuth2Credentials(
                    client_id=credential.status.id,
                    client_secret=credentials.token_of(signer, credential),
                )
                return core.CredentialToken(oauth2_credentials=client)
            case _TYPES.ACCESS_TOKEN:
                session = _session_for_access_token(tx, credential, now)
                issued = core.CredentialTokenAccessToken(
                    access_token=admission.issue(signer, session).access_token
                )
                return core.CredentialToken(access_token=issued)
            case _:
                raise CredentialUnusableError(
                    f"Credential {credential.metadata.name} has no type that tokens exist for"
                )

    def _claims(self, token: str, token_type: TokenType) -> TokenClaims:
        claims = self._keyring.verifier.verify(token, token_type)
        if claims is None:
            error = UnauthenticatedError(f"no valid token of type {token_type.name} was given")
            _LOG.info("authentication refused: %s", error)
            raise error
        return claims

    def _actor(self, claims: TokenClaims, operation: str) -> Actor:
        """The Session of a verified refresh token; only a label of the change, not a check."""
        session = self._resources.peek(core.Session, uid=claims.subject)
        return Actor(None if session is None else reference(session), operation)

    async def _issue(
        self, rule: Callable[[Transaction, int], core.Session], actor: Actor
    ) -> IssuedTokens:
        signer = self._keyring.signer  # without one nothing is to be stored
        return admission.issue(signer, await self._run(rule, actor))

    async def _run(self, rule: Callable[[Transaction, int], _T], actor: Actor) -> _T:
        try:
            async with self._resources.transaction(actor) as tx:
                return rule(tx, int(self._clock()))
        except AuthenticationError as error:
            _LOG.info("%s refused: %s", actor.operation, error)
            raise


def _check_user(user: core.User) -> None:
    if sessions.is_user_barred(user):
        raise RefusedError(f"User {user.metadata.name} is disabled or locked")


def _check_workload(user: core.User) -> None:
    if user.spec.type != core.UserSpecType__.WORKLOAD:
        raise RefusedError(f"User {user.metadata.name} is no WORKLOAD")


def _open(
    tx: Transaction,
    credential: core.Credential,
    user: core.User,
    session_type: sessions.SessionType,
    scopes: Sequence[core.Scope],
    downstream: Downstream,
    now: int,
) -> core.Session:
    config = admission.cluster_config(tx)
    info = credentials.info_of(credential)
    sessions.describe_downstream(info, downstream, config)
    beginning = Beginning(
        user=user, type=session_type, info=info, credential=credential, scopes=scopes
    )
    return admission.open_session(tx, beginning, config, now)


def _renew(
    tx: Transaction,
    session: core.Session,
    credential: core.Credential | None,
    info: core.SessionStatusAuthenticationInfo,
    downstream: Downstream,
    now: int,
) -> core.Session:
    if credential is not None:
        sessions.take_authorization(session, credential)
    sessions.describe_downstream(info, downstream, admission.cluster_config(tx))
    sessions.renew(session, info, now)
    return tx.update(session)


def _session_for_access_token(
    tx: Transaction, credential: core.Credential, now: int
) -> core.Session:
    # Whoever generates the token is not who will use it: nothing of this client is remembered.
    nobody = Downstream()
    name = credential.metadata.name
    try:
        user = credentials.user_of(tx, credential)
        _check_user(user)
        _check_workload(user)
        session = admission.session_of_credential(tx, credential, now)
    except AuthenticationError as error:
        raise CredentialUnusableError(f"Credential {name}: {error}") from error
    if session is None:
        session_type = credential.spec.session_type or core.SessionStatusType__.CLIENTLESS
        session = _open(tx, credential, user, session_type, (), nobody, now)
    else:
        info = credentials.info_of(credential)
        try:
            session = _renew(tx, session, credential, info, nobody, now)
        except SessionRefusedError as error:
            raise CredentialUnusableError(f"Credential {name}: {error}") from error
    credentials.consume(tx, credential)
    return session
