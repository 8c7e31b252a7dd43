"""Every way to authenticate, each as one transaction.

A request that is refused, at whichever step, leaves no trace in the store but one in the
authentication log; of two requests at the same moment that use up the same thing, one is refused.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from octelium.identity import (
    admission,
    approved,
    credential_logins,
    credential_tokens,
    credentials,
    origins,
    own_sessions,
    sessions,
)
from octelium.identity.attempts import Attempt, AttemptLog, NoAttemptLog, Way
from octelium.identity.errors import (
    AuthenticationError,
    RefusedError,
    ReusedTokenError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.holders import Holders
from octelium.identity.provider_logins import ProviderLogins
from octelium.identity.provider_rules import (
    Enforcement,
    NoEnforcement,
    PendingRulesError,
    ProviderRules,
)
from octelium.identity.scopes import parse_scopes
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from octelium.identity.admission import IssuedTokens
    from octelium.identity.keys import Keyring
    from octelium.identity.sessions import Downstream, Locate, SessionType
    from octelium.identity.tokens import TokenClaims
    from octelium.identity.verified import VerifiedIdentity
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_TYPES = core.CredentialSpecType__
_MOST_ROUNDS = 8
"""Times that rules may ask for what takes long."""
_OUT, _ENDED = "signed out", "its own User has ended the Session"
_INFO_TYPES = core.SessionStatusAuthenticationInfoType__


class Authentication(Holders):
    """Authenticates people, workloads, command lines and SDKs. All raise AuthenticationError.

    `operation` is the gRPC method (without its leading slash) or the request's path, under which
    the store keeps the change. Without `rules` nobody signs in through IdentityProviders.
    """

    def __init__(
        self,
        resources: Resources,
        keyring: Keyring,
        *,
        clock: Callable[[], float] = time.time,
        rules: ProviderRules | None = None,
        enforcement: Enforcement | None = None,
        locate: Locate = sessions.nowhere,
        log: AttemptLog | None = None,
    ) -> None:
        super().__init__(resources, keyring, clock)
        self._locate = locate
        self._log = log or NoAttemptLog()
        self._logins: ProviderLogins | None = None
        if rules is not None:
            self._logins = ProviderLogins(rules, enforcement or NoEnforcement(), locate)

    async def with_authentication_token(
        self,
        token: str,
        *,
        scopes: Sequence[str] = (),
        code_verifier: bytes = b"",
        downstream: Downstream,
        operation: str,
        way: Way = Way.APPROVAL,
    ) -> IssuedTokens:
        """Begin a Session with the token of an AUTH_TOKEN Credential.

        `way` is what the log calls it where a person has let this one login in.

        Raises:
            ScopeError: `scopes` cannot be read.
        """
        attempt = Attempt(way=Way.AUTHENTICATION_TOKEN, downstream=downstream, operation=operation)
        with self.recording(attempt):
            wanted = parse_scopes(scopes) if scopes else []
            claims = self._claims(token, TokenType.CREDENTIAL)

            def begin(tx: Transaction, now: int) -> core.Session:
                self._note_credential(tx, claims, attempt)
                credential = credentials.present(tx, claims, _TYPES.AUTH_TOKEN, now)
                if approved.is_marked(credential):
                    attempt.way, attempt.credential = way, None
                credentials.check_verifier(credential, code_verifier)
                user = credentials.user_of(tx, credential)
                attempt.concerns(user=user)
                credential_logins.check_user(user)
                chosen = credential.spec.session_type or sessions.type_for(downstream.user_agent)
                session = credential_logins.begin(
                    tx, credential, user, chosen, wanted, downstream, self._locate, now
                )
                session = approved.inherit(tx, session, credential, now)
                credentials.consume(tx, credential)
                return session

            return await self._issue(begin, Actor(operation=operation), attempt)

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
        attempt = Attempt(way=Way.CLIENT_SECRET, downstream=downstream, operation=operation)
        with self.recording(attempt):
            wanted = [] if scopes is None else parse_scopes(scopes)
            claims = self._claims(client_secret, TokenType.CREDENTIAL)

            def begin_or_renew(tx: Transaction, now: int) -> core.Session:
                self._note_credential(tx, claims, attempt)
                credential = credentials.present(tx, claims, _TYPES.OAUTH2, now)
                if not hmac.compare_digest(credential.status.id.encode(), client_id.encode()):
                    raise UnauthenticatedError("the client secret belongs to another client")
                user = credentials.user_of(tx, credential)
                attempt.concerns(user=user)
                credential_logins.check_user(user)
                credential_logins.check_workload(user)
                session = admission.session_of_credential(tx, credential, now)
                if session is None:
                    clientless = core.SessionStatusType__.CLIENTLESS
                    session = credential_logins.begin(
                        tx, credential, user, clientless, wanted, downstream, self._locate, now
                    )
                else:
                    info = credentials.info_of(credential)
                    session = credential_logins.renew(
                        tx, session, credential, info, downstream, self._locate, now
                    )
                credentials.consume(tx, credential)
                return session

            return await self._issue(begin_or_renew, Actor(operation=operation), attempt)

    async def with_refresh_token(
        self, token: str, *, downstream: Downstream, operation: str
    ) -> IssuedTokens:
        """Renew the Session of a refresh token; this token is dead afterwards.

        A Credential that began the Session and is disabled or locked by now refuses: whoever did
        that wants nothing more to come of it, and it can be undone. One that has expired, is used
        up or is gone does not: these only end what can be begun with it, and a Credential for one
        use deletes itself while its Session goes on. An IdentityProvider does the same as a
        Credential. A token that was replaced a while ago ends the Session: somebody has a copy
        (RFC 9700 section 4.14.2).

        Raises:
            TooEarlyError: the present tokens are to be kept, and stay good.
        """
        attempt = Attempt(way=Way.REFRESH_TOKEN, downstream=downstream, operation=operation)
        with self.recording(attempt):
            claims = self._claims(token, TokenType.REFRESH)

            def renew(tx: Transaction, now: int) -> core.Session:
                session = admission.session_of_token(tx, claims, now)
                attempt.concerns_session(session)
                user = tx.find(core.User, uid=session.status.user_ref.uid)
                if user is None:
                    raise UnknownUserError(f"the User of Session {session.metadata.name} is gone")
                sessions.check_refresh(session, user, now)
                credential = origins.credential_of(tx, session, attempt)
                approved.follow(tx, session, now)
                info = core.SessionStatusAuthenticationInfo(
                    type=_INFO_TYPES.REFRESH_TOKEN, aal=session.status.authentication.info.aal
                )
                return credential_logins.renew(
                    tx, session, credential, info, downstream, self._locate, now
                )

            actor, reused = self._actor(claims, operation), None
            if self._present(claims) is None:
                reused = await self._run(
                    lambda tx, now: admission.end_if_reused(tx, claims, now), actor
                )
            if reused is not None:
                attempt.concerns_session(reused)
                raise ReusedTokenError(
                    f"an earlier refresh token of Session {reused.metadata.name} was used again; "
                    "the Session has ended, for somebody may have a copy"
                )
            return await self._issue(renew, actor, attempt)

    async def with_web_identity(
        self,
        verified: VerifiedIdentity,
        *,
        refresh_token: str | None,
        downstream: Downstream,
        operation: str,
    ) -> IssuedTokens:
        """Begin a browser's Session, or authenticate again the one of `refresh_token`.

        What that token is does not matter otherwise: a browser may come with any cookie. The
        Session may be PENDING, or need an Authenticator first (`status.authenticator_action`).
        """
        attempt = self._of_provider(Way.IDENTITY_PROVIDER, verified, downstream, operation)
        with self.recording(attempt):
            logins = self._require_logins()
            previous = None
            if refresh_token:
                previous = self._keyring.verifier.verify(refresh_token, TokenType.REFRESH)

            def sign_in(tx: Transaction, now: int) -> core.Session:
                return logins.web(tx, verified, previous, attempt, now)

            return await self._issue(sign_in, Actor(operation=operation), attempt)

    async def with_assertion(
        self,
        verified: VerifiedIdentity,
        *,
        scopes: Sequence[str] | None = None,
        downstream: Downstream,
        operation: str,
        session_type: SessionType | None = None,
    ) -> IssuedTokens:
        """Begin a Session of a workload with an assertion of its platform.

        Without `session_type` the User-Agent decides.

        Raises:
            ScopeError: `scopes` cannot be read.
        """
        attempt = self._of_provider(Way.ASSERTION, verified, downstream, operation)
        with self.recording(attempt):
            logins = self._require_logins()
            wanted = parse_scopes(scopes) if scopes else []

            def sign_in(tx: Transaction, now: int) -> core.Session:
                return logins.workload(tx, verified, wanted, session_type, attempt, now)

            return await self._issue(sign_in, Actor(operation=operation), attempt)

    async def log_out(self, token: str, *, operation: str) -> core.Session:
        """End the Session of a refresh token; returns what it was."""
        claims = self._claims(token, TokenType.REFRESH)

        def end(tx: Transaction, now: int) -> core.Session:
            session = admission.session_of_token(tx, claims, now)
            tx.delete("Session", session.metadata.uid)
            return session

        session = await self._run(end, self._actor(claims, operation))
        self.tell(Attempt.deed(_OUT, operation, session=session))
        return session

    async def revoke_session(self, caller_uid: str, uid: str, *, operation: str) -> core.Session:
        """End one Session of the User that the Session `caller_uid` belongs to; what it was.

        Whoever calls has authenticated that Session.
        """

        def end(tx: Transaction, now: int) -> core.Session:
            return own_sessions.revoke(tx, own_sessions.caller(tx, caller_uid, now), uid)

        session = await self._run(end, self._actor_of(caller_uid, operation))
        deed = Attempt.deed(_OUT if uid == caller_uid else _ENDED, operation, session=session)
        self.tell(deed)
        return session

    async def revoke_other_sessions(self, caller_uid: str, *, operation: str) -> list[core.Session]:
        """End every other Session of the User of the Session `caller_uid`; what they were.

        Whoever calls has authenticated that Session.
        """

        def end(tx: Transaction, now: int) -> list[core.Session]:
            return own_sessions.revoke_others(tx, own_sessions.caller(tx, caller_uid, now))

        ended = await self._run(end, self._actor_of(caller_uid, operation))
        for session in ended:
            self.tell(Attempt.deed(_ENDED, operation, session=session))
        return ended

    def generate_token(self, tx: Transaction, credential: core.Credential) -> core.CredentialToken:
        """A new token for `credential`, as part of the caller's transaction; earlier ones die.

        For a Credential of type ACCESS_TOKEN its Session is begun or renewed, and its access token
        is the result.

        Raises:
            CredentialUnusableError: no token can be made for the Credential as it is.
            SessionLimitError: its User has as many Sessions as it may have.
        """
        return credential_tokens.generate(tx, self._keyring.signer, credential, int(self._clock()))

    def refuse(self, attempt: Attempt, reason: str | AuthenticationError) -> None:
        """Have the log remember an attempt that failed before it could be made here.

        For the checks of protocols: a state that is unknown, a signature that is wrong.
        """
        attempt.failed(UnauthenticatedError(reason) if isinstance(reason, str) else reason)
        _LOG.debug("%s refused: %s", attempt.operation, attempt.reason)
        self._log.record(attempt)

    def tell(self, attempt: Attempt) -> None:
        """Have the log remember what was done."""
        self._log.record(attempt)

    @contextlib.contextmanager
    def recording(self, attempt: Attempt) -> Iterator[None]:
        """Have the log remember how the block within ends; it calls `attempt.succeeded` itself."""
        try:
            yield
        except BaseException as error:
            attempt.failed(error)
            if isinstance(error, Exception):
                _LOG.debug("%s refused: %s", attempt.operation, attempt.reason)
            raise
        finally:
            self._log.record(attempt)

    def _require_logins(self) -> ProviderLogins:
        if self._logins is None:
            raise RefusedError("nobody signs in through IdentityProviders here")
        return self._logins

    @staticmethod
    def _of_provider(
        way: Way, verified: VerifiedIdentity, downstream: Downstream, operation: str
    ) -> Attempt:
        attempt = Attempt(way=way, downstream=downstream, operation=operation)
        attempt.concerns(provider=verified.provider)
        attempt.identifier, attempt.email = verified.identifier, verified.email
        return attempt

    @staticmethod
    def _note_credential(tx: Transaction, claims: TokenClaims, attempt: Attempt) -> None:
        credential = tx.peek(core.Credential, uid=claims.subject)
        if credential is not None:
            attempt.concerns(credential=credential)
            attempt.user = credential.status.user_ref

    def _actor(self, claims: TokenClaims, operation: str) -> Actor:
        return self._actor_of(claims.subject, operation)

    def _actor_of(self, session_uid: str, operation: str) -> Actor:
        """A Session as the author; only a label of the change, not a check."""
        session = self._resources.peek(core.Session, uid=session_uid) if session_uid else None
        return Actor(None if session is None else reference(session), operation)

    async def _issue(
        self,
        rule: Callable[[Transaction, int], core.Session],
        actor: Actor,
        attempt: Attempt,
    ) -> IssuedTokens:
        signer = self._keyring.signer  # without one nothing is to be stored
        for _ in range(_MOST_ROUNDS):
            try:
                async with self._resources.transaction(actor) as tx:
                    session = rule(tx, int(self._clock()))
            except PendingRulesError as pending:  # nobody may wait within a transaction
                await pending.settle()
                continue
            attempt.succeeded(session)
            return admission.issue(signer, session)
        raise RefusedError("the rules of this login need too many results that take long")

    async def _run(self, rule: Callable[[Transaction, int], _T], actor: Actor) -> _T:
        try:
            async with self._resources.transaction(actor) as tx:
                return rule(tx, int(self._clock()))
        except AuthenticationError as error:
            _LOG.debug("%s refused: %s", actor.operation, error.for_log)
            raise
