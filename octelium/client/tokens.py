"""The life of the tokens of one Cluster: login, refresh, fall back, logout."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from octelium.client.errors import ApiError, NotLoggedIn
from octelium.client.state import Login, LoginState
from octelium.client.storage import UnwritableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from octelium.schema.pb import auth_v1_pb2 as auth


class Exchange(Protocol):
    """What is asked of `auth.v1`. Every method raises ApiError."""

    def authenticate(
        self, token: str, scopes: Sequence[str], code_verifier: bytes = b""
    ) -> auth.SessionToken:
        """Make a Session from an authentication token; some want a verifier with it."""

    def vouch(self, assertion: str, provider: str, scopes: Sequence[str]) -> auth.SessionToken:
        """Make a Session from an assertion, for the IdentityProvider of that name, or of its."""

    def refresh(self, refresh_token: str) -> auth.SessionToken:
        """New tokens for the same Session."""

    def logout(self, refresh_token: str) -> None:
        """End the Session."""


class Proof(Protocol):
    """A way to prove who one is. What it needs is asked for only when it is used."""

    def tokens(self, exchange: Exchange, scopes: Sequence[str]) -> auth.SessionToken:
        """Make a Session. Raises ClientError."""


class TokenKeeper:
    """Gives out the access token of one Cluster and renews it when it is time.

    `proof` and `scopes` are for when there is no Session (any more). Threads may share it: what one
    asks for, the others wait for.
    """

    def __init__(
        self,
        domain: str,
        state: LoginState,
        exchange: Exchange,
        *,
        proof: Proof | None = None,
        scopes: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._domain = domain
        self._state = state
        self._exchange = exchange
        self._proof = proof
        self._scopes = scopes
        self._clock = clock
        self._current: Login | None = None
        self._asking = threading.RLock()
        self.is_new = False
        """Whether the Session was made here."""

    def access_token(self) -> str:
        """The token for the next call. Raises NotLoggedIn, ApiError, StateError."""
        with self._asking:
            return self._access_token()

    def _access_token(self) -> str:
        login = self._current or self._state.get(self._domain)
        if login is None or not login.is_valid(self._clock()):
            login = self.authenticate()
        elif login.refresh_due(self._clock()):
            try:
                login = self._renew(login)
            except UnwritableError:
                # Where nothing can be kept, somebody else may have renewed it, as from a container.
                login = self._state.get(self._domain) or login
                if not login.is_usable(self._clock()):
                    raise
        self._current = login
        return login.token.access_token

    def after_rejection(self, rejected: str) -> str | None:
        """Another access token after the Cluster refused `rejected`, or None if there is none."""
        with self._asking:
            return self._after_rejection(rejected)

    def _after_rejection(self, rejected: str) -> str | None:
        login = self._state.get(self._domain)
        if login is not None and login.token.access_token != rejected:
            self._current = login  # another process has renewed it meanwhile
            return login.token.access_token
        try:
            self._current = self.authenticate() if login is None else self._renew(login)
        except NotLoggedIn:
            return None
        token = self._current.token.access_token
        return None if token == rejected else token

    def is_logged_in(self) -> bool:
        """Whether there is a remembered Session that should still be good."""
        return self.remembered() is not None

    def remembered(self) -> Login | None:
        """The remembered Session that should still be good, if there is one."""
        login = self._state.get(self._domain)
        return login if login is not None and login.is_valid(self._clock()) else None

    @property
    def can_prove(self) -> bool:
        """Whether a Session can be made without asking a person."""
        return self._proof is not None

    def end(self, login: Login) -> None:
        """End a Session that another one has replaced. Raises ApiError."""
        self._exchange.logout(login.token.refresh_token)

    def authenticate(self) -> Login:
        """Make a new Session from the proof, and remember it.

        Raises NotLoggedIn when there is none, ClientError; StateError, with no Session made, where
        nothing can be remembered.
        """
        if self._proof is None:
            raise NotLoggedIn(
                f"not logged in to {self._domain}",
                f"octelium login --domain {self._domain}, in a terminal; elsewhere give "
                "--auth-token TOKEN or set OCTELIUM_AUTH_TOKEN",
            )
        self._state.rehearse()
        login = self._remember(self._proof.tokens(self._exchange, self._scopes))
        self.is_new = True
        return login

    def logout(self) -> None:
        """End the Session and forget it, also when the Cluster cannot be told (ApiError then)."""
        login = self._state.get(self._domain)
        try:
            if login is not None and login.is_valid(self._clock()):
                self._exchange.logout(login.token.refresh_token)
        finally:
            self._current = None
            self._state.forget(self._domain)

    def take(self, token: auth.SessionToken) -> None:
        """Use and remember tokens that the Session was given in another way."""
        self._remember(token)

    def _renew(self, old: Login) -> Login:
        """A login with newer tokens. Raises NotLoggedIn, ApiError.

        Raises:
            UnwritableError: they could not be kept. The old ones are still good.
        """
        with self._refreshing():
            stored = self._state.get(self._domain)
            if stored is not None and stored.token.access_token != old.token.access_token:
                return stored  # another process was faster
            try:
                return self._remember(self._exchange.refresh(old.token.refresh_token))
            except ApiError as error:
                if error.code == "ALREADY_EXISTS":  # too early: the present token stays good
                    return old
                if error.code != "UNAUTHENTICATED":
                    raise
        return self.authenticate()

    @contextmanager
    def _refreshing(self) -> Iterator[None]:
        """Keep others from it. The tokens that are exchanged are good for nothing afterwards, so
        there must be a place for the new ones before.
        """
        with ExitStack() as held:
            try:
                held.enter_context(self._state.refreshing())
                self._state.rehearse()
            except UnwritableError as error:
                problem = f"the login to {self._domain} has to be renewed: {error.problem}"
                remedy = "make it possible to write there, or log in with another directory: "
                raise UnwritableError(problem, remedy + error.remedy) from error
            yield

    def _remember(self, token: auth.SessionToken) -> Login:
        login = Login(token, self._clock())
        self._state.put(self._domain, login)
        self._current = login
        return login
