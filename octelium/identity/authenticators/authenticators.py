"""Everything that a Session does with Authenticators, each as one transaction.

A Session is known by its refresh token. All raise AuthenticationError, and what is refused is in
the log.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from octelium.identity import admission, sessions
from octelium.identity.attempts import Attempt, Way
from octelium.identity.authenticators import (
    authentications,
    available,
    invited,
    owned,
    passkey_logins,
    passkeys,
    registration,
)
from octelium.identity.authenticators.callers import Caller, caller
from octelium.identity.authenticators.errors import WrongResponseError
from octelium.identity.authenticators.passkeys import PasskeyChallenges
from octelium.identity.authenticators.rate_limits import RateLimits
from octelium.identity.errors import AuthenticationError, RefusedError, UnauthenticatedError
from octelium.identity.provider_rules import PendingRulesError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authentication import Authentication
    from octelium.identity.authenticators.available import Selection
    from octelium.identity.authenticators.registration import Challenge, Response
    from octelium.identity.authenticators.relying_party import RelyingParty
    from octelium.identity.keys import Keyring
    from octelium.identity.provider_rules import AuthenticatorRules
    from octelium.identity.sessions import Downstream, Locate
    from octelium.identity.tokens import TokenClaims
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.query import Page
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_MOST_ROUNDS: Final = 8
"""Times that rules may ask for a result that takes long."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A request about Authenticators: the refresh token it came with, and how it is called."""

    refresh_token: str
    operation: str


class Authenticators:
    """Registers Authenticators, and authenticates Sessions with them.

    `authentication` is told of attempts; `rules` decide which of them count.
    """

    def __init__(
        self,
        resources: Resources,
        keyring: Keyring,
        authentication: Authentication,
        party: RelyingParty,
        rules: AuthenticatorRules,
        *,
        clock: Callable[[], float] = time.time,
        locate: Locate = sessions.nowhere,
        limits: RateLimits | None = None,
    ) -> None:
        self.party = party
        self._resources = resources
        self._keyring = keyring
        self._authentication = authentication
        self._rules = rules
        self._clock = clock
        self._locate = locate
        self._limits = limits or RateLimits()
        self._challenges = PasskeyChallenges()

    async def create(self, asking: Asking, kind: int, display_name: str) -> core.Authenticator:
        """A new Authenticator of the caller, to be registered within an hour."""
        return await self._run(
            asking, lambda tx, who, now: owned.create(tx, who, kind, display_name, now)
        )

    async def get(self, asking: Asking, ref: meta.ObjectReference) -> core.Authenticator:
        """One of the caller's Authenticators."""
        return await self._run(asking, lambda tx, who, _now: owned.own(tx, who, ref))

    async def list(
        self, asking: Asking, options: meta.CommonListOptions
    ) -> Page[core.Authenticator]:
        """The caller's Authenticators."""
        return await self._run(asking, lambda tx, who, now: owned.page(tx, who, options, now))

    async def rename(
        self, asking: Asking, ref: meta.ObjectReference, display_name: str
    ) -> core.Authenticator:
        """Change the display name of one of the caller's Authenticators."""
        return await self._run(
            asking, lambda tx, who, _now: owned.rename(tx, who, ref, display_name)
        )

    async def delete(self, asking: Asking, ref: meta.ObjectReference) -> core.Authenticator:
        """Remove one of the caller's Authenticators; what it was."""
        gone = await self._run(asking, lambda tx, who, now: owned.delete(tx, who, ref, now))
        if gone.status.is_registered:
            self._tell("removed the Authenticator", asking, gone)
        return gone

    async def available(self, asking: Asking) -> Selection:
        """What the caller can authenticate with. Shared; must not be written to."""
        return await self._run(asking, lambda tx, who, _now: available.selection(tx, who.session))

    async def register_begin(self, asking: Asking, ref: meta.ObjectReference) -> Challenge:
        """Ask an Authenticator to register; the challenge is good for 20 minutes, FIDO's for 2."""
        await self._count(asking, ref, "begin")
        return await self._run(
            asking, lambda tx, who, now: registration.begin(tx, who, self.party, ref, now)
        )

    async def register_finish(
        self, asking: Asking, ref: meta.ObjectReference, response: Response
    ) -> IssuedTokens | None:
        """Take the response to the challenge of `register_begin`.

        The result are new tokens of a Session that had to register it; those before are dead.

        Raises:
            WrongResponseError: it is not accepted.
        """
        signer = self._keyring.signer
        await self._count(asking, ref, "finish")
        try:
            done = await self._run(
                asking,
                lambda tx, who, now: registration.finish(tx, who, self.party, ref, response, now),
            )
            self._tell("registered the Authenticator", asking, done.authenticator)
            return None if done.renewed is None else admission.issue(signer, done.renewed)
        except WrongResponseError:
            await self._run(asking, lambda tx, who, now: registration.void(tx, who, ref, now))
            raise

    async def authenticate_begin(self, asking: Asking, ref: meta.ObjectReference) -> Challenge:
        """Ask an Authenticator of the caller to prove that it is there."""
        await self._count(asking, ref, "begin")
        return await self._run(
            asking, lambda tx, who, now: authentications.begin(tx, who, self.party, ref, now)
        )

    async def authenticate(
        self,
        asking: Asking,
        ref: meta.ObjectReference,
        response: Response,
        *,
        downstream: Downstream,
    ) -> IssuedTokens:
        """Authenticate the caller's Session again; its tokens are dead then.

        Raises:
            WrongResponseError: the response is not accepted; a new challenge is needed.
            RateLimitError: the Authenticator was used too often lately.
            TooEarlyError: the Session was authenticated too often lately, and keeps its tokens.
        """
        attempt = Attempt(way=Way.AUTHENTICATOR, downstream=downstream, operation=asking.operation)
        with self._authentication.recording(attempt):
            signer = self._keyring.signer
            attempt.authenticator = reference(await self._count(asking, ref, "finish"))

            def finish(tx: Transaction, who: Caller, now: int) -> core.Session | RefusedError:
                attempt.concerns_session(who.session)
                return authentications.finish(
                    tx,
                    who,
                    self.party,
                    self._rules,
                    ref,
                    response,
                    downstream,
                    self._locate,
                    now,
                )

            session = await self._run(asking, finish)
            if isinstance(session, RefusedError):
                raise session
            attempt.succeeded(session)
            return admission.issue(signer, session)

    def passkey_begin(self) -> str:
        """Options of WebAuthn as JSON, for anybody to sign in with a passkey.

        Raises:
            RefusedError: the Cluster does not offer that.
        """
        passkeys.check_offered(self._resources, self._config())
        return self.party.passkey_options(self._challenges.new(int(self._clock())))

    @property
    def offers_passkeys(self) -> bool:
        """Whether people can sign in with a passkey alone."""
        return passkey_logins.is_offered(self._resources, self._config())

    async def with_passkey(
        self,
        response: str,
        *,
        refresh_token: str | None,
        downstream: Downstream,
        operation: str,
    ) -> IssuedTokens:
        """Begin a browser's Session with a passkey.

        The Session that `refresh_token` belongs to ends if it is a browser's of the same User; what
        that token is does not matter otherwise.
        """
        attempt = Attempt(way=Way.PASSKEY, downstream=downstream, operation=operation)
        with self._authentication.recording(attempt):
            signer = self._keyring.signer
            previous: TokenClaims | None = None
            if refresh_token:
                previous = self._keyring.verifier.verify(refresh_token, TokenType.REFRESH)

            def sign_in(tx: Transaction, now: int) -> core.Session | RefusedError:
                return passkeys.sign_in(
                    tx,
                    self.party,
                    self._rules,
                    self._challenges,
                    response,
                    previous,
                    attempt,
                    self._locate,
                    now,
                )

            session = await self._transact(sign_in, Actor(operation=operation))
            if isinstance(session, RefusedError):
                raise session
            attempt.succeeded(session)
            return admission.issue(signer, session)

    async def invited_begin(self, asking: Asking, display_name: str) -> Challenge:
        """Ask who was invited for a passkey; the challenge is good for 2 minutes."""
        self._limits.use(f"begin {self._claims(asking).subject}")
        return await self._run(
            asking,
            lambda tx, who, now: invited.begin(tx, who, self.party, display_name, now),
            invited=True,
        )

    async def invited_finish(
        self,
        asking: Asking,
        ref: meta.ObjectReference,
        response: str,
        *,
        downstream: Downstream,
    ) -> IssuedTokens | None:
        """Register the passkey, which begins a browser's Session instead of the invited one.

        None if an administrator has to approve the passkey first: then nobody is signed in.

        Raises:
            WrongResponseError: the response is not accepted.
        """
        attempt = Attempt(way=Way.INVITATION, downstream=downstream, operation=asking.operation)
        with self._authentication.recording(attempt):
            signer = self._keyring.signer

            def finish(tx: Transaction, who: Caller, now: int) -> core.Session | None:
                attempt.concerns_session(who.session)
                return invited.finish(
                    tx, who, self.party, self._rules, ref, response, attempt, self._locate, now
                )

            self._limits.use(f"finish {self._claims(asking).subject}")
            try:
                session = await self._run(asking, finish, invited=True)
            except WrongResponseError:
                await self._run(
                    asking,
                    lambda tx, who, now: registration.void(tx, who, ref, now),
                    invited=True,
                )
                raise
            if session is None:
                attempt.did("a passkey is registered, and waits for approval")
                return None
            attempt.succeeded(session)
            attempt.did("a passkey is registered")
            return admission.issue(signer, session)

    def _config(self) -> core.ClusterConfig:
        """The Cluster's configuration; shared."""
        found = self._resources.peek(core.ClusterConfig, name="default")
        return found or core.ClusterConfig()

    def _claims(self, asking: Asking) -> TokenClaims:
        claims = self._keyring.verifier.verify(asking.refresh_token, TokenType.REFRESH)
        if claims is None:
            raise UnauthenticatedError("no valid refresh token was given")
        return claims

    def _tell(self, what: str, asking: Asking, about: core.Authenticator) -> None:
        session = self._resources.peek(core.Session, uid=self._claims(asking).subject)
        name = about.spec.display_name
        told = f"{what} {name!r}" if name else what
        deed = Attempt.deed(told, asking.operation, session=session, authenticator=about)
        self._authentication.tell(deed)

    async def _count(
        self, asking: Asking, ref: meta.ObjectReference, step: str
    ) -> core.Authenticator:
        """Count a use of one of the caller's Authenticators, and of no others."""
        found = await self.get(asking, ref)
        self._limits.use(f"{step} {found.metadata.uid}")
        return found

    async def _run(
        self,
        asking: Asking,
        rule: Callable[[Transaction, Caller, int], _T],
        *,
        invited: bool = False,
    ) -> _T:
        claims = self._claims(asking)
        session = self._resources.peek(core.Session, uid=claims.subject)
        actor = Actor(None if session is None else reference(session), asking.operation)
        return await self._transact(
            lambda tx, now: rule(tx, caller(tx, claims, now, invited=invited), now), actor
        )

    async def _transact(self, rule: Callable[[Transaction, int], _T], actor: Actor) -> _T:
        for _ in range(_MOST_ROUNDS):
            try:
                async with self._resources.transaction(actor) as tx:
                    return rule(tx, int(self._clock()))
            except PendingRulesError as pending:  # nobody may wait within a transaction
                await pending.settle()
            except AuthenticationError as error:
                _LOG.debug("%s refused: %s", actor.operation, error.for_log)
                raise
        raise RefusedError("the rules of Authenticators need too many results that take long")
