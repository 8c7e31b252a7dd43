"""People who are invited: who invites them, and what becomes of the link, each as one transaction.

Every step, refused ones too, is in the authentication log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.identity import admission, invitations, sessions
from octelium.identity.attempts import Attempt, Way
from octelium.identity.errors import AuthenticationError, UnauthenticatedError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authentication import Authentication
    from octelium.identity.keys import Keyring
    from octelium.identity.sessions import Downstream, Locate
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

PATH = "/invite"
"""Where people open their invitations. The token stands behind `#`: browsers keep it to themselves,
so that it is in no log, no Referer and no preview (RFC 3986 section 3.5)."""
_OWNER = "the owner of the Cluster's machine"


@dataclass(frozen=True, slots=True)
class Inviter:
    """Who invites: a Session; without one, the owner of the machine."""

    operation: str
    session: meta.ObjectReference | None = None
    downstream: Downstream = field(default_factory=sessions.Downstream)

    @property
    def actor(self) -> Actor:
        """How the store remembers the inviter."""
        return Actor(self.session, self.operation)

    def name(self, tx: Transaction) -> str:
        """Who that is. Raises UnauthenticatedError for a Session that has ended meanwhile."""
        if self.session is None:
            return _OWNER
        session = tx.peek(core.Session, uid=self.session.uid)
        if session is None:
            raise UnauthenticatedError("the Session that asks is gone")
        return f"User {session.status.user_ref.name} (Session {session.metadata.name})"


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation. `url` is what the person is to be given, and is known only now."""

    url: str
    expires_at: int
    """Unix seconds."""
    user: meta.ObjectReference


class InvitationLogins:
    """Makes invitations and takes them. All methods raise AuthenticationError.

    `origin` is that of the login pages; `authentication` is told of attempts.
    """

    def __init__(
        self,
        resources: Resources,
        keyring: Keyring,
        authentication: Authentication,
        origin: str,
        *,
        clock: Callable[[], float] = time.time,
        locate: Locate = sessions.nowhere,
    ) -> None:
        self._resources = resources
        self._keyring = keyring
        self._authentication = authentication
        self._origin = origin
        self._clock = clock
        self._locate = locate

    async def invite(
        self,
        user: str,
        inviter: Inviter,
        *,
        before: Callable[[Transaction], object] = lambda _tx: None,
    ) -> Invited:
        """Make a link for the User of a name or uid; the one that there was is void.

        `before` is done in the same transaction.

        Raises:
            NoUserError: there is no such User.
            NotInvitableError: the User is no person, or may not sign in.
        """
        attempt = _attempt(inviter.downstream, inviter.operation)
        with self._authentication.recording(attempt):
            token = invitations.new_token()
            async with self._resources.transaction(inviter.actor) as tx:
                by = inviter.name(tx)
                before(tx)
                found = invitations.user_named(tx, user)
                attempt.concerns(user=found)
                made = invitations.make(tx, found, token, int(self._clock()))
                has = _authenticators(tx, found)
            attempt.session = inviter.session
            attempt.did(f"invited by {by}" + (f"; has {has} Authenticators" if has else ""))
        return Invited(
            f"{self._origin}{PATH}#{token}", made.spec.expires_at.seconds, reference(found)
        )

    async def revoke(self, user: str, inviter: Inviter) -> bool:
        """Make the link of a User void, and end what it has begun; whether there was one.

        Raises:
            NoUserError: there is no such User.
        """
        attempt = _attempt(inviter.downstream, inviter.operation)
        with self._authentication.recording(attempt):
            async with self._resources.transaction(inviter.actor) as tx:
                by = inviter.name(tx)
                found = invitations.user_named(tx, user)
                attempt.concerns(user=found)
                revoked = invitations.revoke(tx, found)
            attempt.session = inviter.session
            attempt.did(f"revoked by {by}" if revoked else f"{by} found nothing to revoke")
        return revoked

    async def look(self, token: str, *, downstream: Downstream, operation: str) -> core.User:
        """Whom a link is for, while it can be claimed; nothing is changed.

        Raises:
            InvitationError: it leads nowhere.
        """
        attempt = _attempt(downstream, operation)
        try:
            return self._look(token, attempt)
        except AuthenticationError:
            with self._authentication.recording(attempt):
                raise

    async def claim(
        self,
        token: str,
        *,
        refresh_token: str | None,
        downstream: Downstream,
        operation: str,
    ) -> IssuedTokens:
        """Use up a link: the tokens of a browser's Session that has to register a passkey.

        Raises:
            InvitationError: it leads nowhere, or somebody else was faster.
        """
        attempt = _attempt(downstream, operation)
        with self._authentication.recording(attempt):
            signer = self._keyring.signer  # without one nothing is to be stored
            previous = None
            if refresh_token:
                previous = self._keyring.verifier.verify(refresh_token, TokenType.REFRESH)
            self._look(token, attempt)  # what is hopeless keeps nobody from the store
            async with self._resources.transaction(Actor(operation=operation)) as tx:
                now = int(self._clock())
                session = invitations.claim(tx, token, previous, attempt, self._locate, now)
            attempt.succeeded(session)
            attempt.did("claimed; a passkey has to be registered")
            return admission.issue(signer, session)

    def _look(self, token: str, attempt: Attempt) -> core.User:
        now = int(self._clock())
        return invitations.open_invitation(self._resources, token, attempt, now)[1]


def _attempt(downstream: Downstream, operation: str) -> Attempt:
    return Attempt(way=Way.INVITATION, downstream=downstream, operation=operation)


def _authenticators(tx: Transaction, user: core.User) -> int:
    own = {"status.userRef": user.metadata.uid}
    return tx.count(core.Authenticator, by=own, where=lambda one: one.status.is_registered)
