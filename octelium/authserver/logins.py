"""Logins through IdentityProviders, from the first click to the tokens of a Session."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from octelium.authserver import offers
from octelium.authserver.cookies import LOGIN_STATE, REFRESH, cookie
from octelium.authserver.login_states import LoginState, LoginStates, new_id
from octelium.authserver.pace import Pace
from octelium.authserver.providers.interface import (
    LoginContext,
    ProviderDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from octelium.authserver.requests import address_of, downstream_of
from octelium.http.callers import caller_of
from octelium.identity.attempts import Attempt, Way
from octelium.identity.errors import (
    AuthenticationError,
    DisabledUserError,
    SessionLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.providers.interface import WebProvider
    from octelium.authserver.targets import Target
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authentication import Authentication
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.store.resources import Resources

_OPERATION = "callback"
_NOT_THIS_ONE = "the login is not this browser's, has ended before, or took too long"


class Protocols(Protocol):
    """Knows what speaks the protocol of an IdentityProvider."""

    def of(self, provider: core.IdentityProvider) -> WebProvider:
        """What does. Raises ProviderUnavailableError if nothing does."""
        ...


class LoginError(Exception):
    """A login that came to nothing. `code` is all that the browser learns."""

    def __init__(self, code: str, target: Target | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.target = target


@dataclass(frozen=True, slots=True)
class Logins:
    """Begins logins and ends them."""

    resources: Resources
    authentication: Authentication
    protocols: Protocols
    publish: Publish
    states: LoginStates = field(default_factory=LoginStates)
    callers: Pace = field(default_factory=lambda: Pace(200, 10))
    """What clients bring back that no provider knows of; the Cluster asks the provider each time,
    under its own name. So many may be under way at once, of one address too."""
    providers: Pace = field(default_factory=lambda: Pace(400, 50))
    """The same by IdentityProvider."""

    async def begin(
        self, request: Request, provider: core.IdentityProvider, target: Target
    ) -> tuple[str, str]:
        """Where to send the browser, and the state that its cookie is to hold.

        Raises:
            LoginError: none can begin there at present.
        """
        state = new_id()
        try:
            begun = await self.protocols.of(provider).begin(LoginContext(provider, state))
            if not (begun.url.startswith("https://") and begun.url.isascii()):
                raise ProviderUnavailableError("its page has no https address")
        except ProviderError as error:
            self.refuse(request, "login", str(error), provider)
            raise LoginError("unavailable", target) from error
        refresh_token = cookie(request, REFRESH)
        kept = LoginState(state, provider, begun.private, target, refresh_token)
        self.states.put(kept, address_of(request))
        return begun.url, state

    def begun(self, request: Request) -> LoginState:
        """The login that began in the browser that asks.

        Raises:
            LoginError: there is none.
        """
        state = self.states.get(cookie(request, LOGIN_STATE))
        if state is None:
            self.refuse(request, _OPERATION, _NOT_THIS_ONE)
            raise LoginError("expired")
        return state

    async def end(
        self, request: Request, returned: str, parameters: Mapping[str, str]
    ) -> tuple[IssuedTokens, Target]:
        """The tokens of who comes back from an IdentityProvider, and where to go on.

        Raises:
            LoginError: nobody is signed in.
        """
        began = self.begun(request)
        caller = caller_of(address_of(request))
        uid = began.provider.metadata.uid
        delay = self._pace(caller, uid)
        if delay is None:
            reason = "too many logins came to nothing; this one was not looked at"
            self.refuse(request, _OPERATION, reason, began.provider)
            raise LoginError("again", began.target)
        state = self.states.take(returned, cookie(request, LOGIN_STATE))
        if state is None:
            self._give_back(caller, uid)
            self.refuse(request, _OPERATION, _NOT_THIS_ONE)
            raise LoginError("expired")
        if delay:
            await asyncio.sleep(delay)
        provider, target = state.provider, state.target
        if offers.offer(self.resources, provider.metadata.uid) is None:
            reason = "the IdentityProvider is disabled, locked or gone by now"
            self.refuse(request, _OPERATION, reason, provider)
            raise LoginError("unavailable", target)
        try:
            context = LoginContext(provider, state.id)
            protocol = self.protocols.of(provider)
            verified = await protocol.finish(context, parameters, state.private)
        except ProviderError as error:
            self.refuse(request, _OPERATION, str(error), provider)
            declined = isinstance(error, ProviderDeniedError)
            raise LoginError("denied" if declined else "provider", target) from error
        self._give_back(caller, uid)
        try:
            issued = await self.authentication.with_web_identity(
                verified,
                refresh_token=cookie(request, REFRESH) or state.refresh_token or None,
                downstream=downstream_of(request),
                operation=_OPERATION,
            )
        except AuthenticationError as error:
            raise LoginError(_word(error), target) from error
        await self.publish()
        return issued, target

    def _pace(self, caller: str, provider_uid: str) -> float | None:
        """Seconds to wait before a provider is asked; None if that would take too long."""
        mine = self.callers.take(caller)
        if mine is None:
            return None
        everybodys = self.providers.take(provider_uid)
        if everybodys is None:
            self.callers.give_back(caller)
            return None
        return max(mine, everybodys)

    def _give_back(self, caller: str, provider_uid: str) -> None:
        self.callers.give_back(caller)
        self.providers.give_back(provider_uid)

    def refuse(
        self,
        request: Request,
        operation: str,
        reason: str,
        provider: core.IdentityProvider | None = None,
    ) -> None:
        """Have the authentication log tell why a login did not begin, or was not ended."""
        attempt = Attempt(
            way=Way.IDENTITY_PROVIDER, downstream=downstream_of(request), operation=operation
        )
        attempt.concerns(provider=provider)
        self.authentication.refuse(attempt, reason)


def _word(error: AuthenticationError) -> str:
    """What somebody is told whom an IdentityProvider vouches for."""
    if isinstance(error, DisabledUserError):
        return "disabled"
    return "limit" if isinstance(error, SessionLimitError) else "refused"
