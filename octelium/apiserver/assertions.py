"""auth.v1: a Session of a workload by an assertion of the platform that it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from octelium.apiserver.auth import downstream_of, session_token
from octelium.identity.errors import UnauthenticatedError
from octelium.identity.scopes import ScopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.apiserver.rpc import Call
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.sessions import Downstream
    from octelium.schema.pb import auth_v1_pb2 as auth


class SignIn(Protocol):
    """Signs workloads in."""

    async def sign_in(
        self,
        assertion: str,
        *,
        provider_name: str = "",
        provider_uid: str = "",
        scopes: Sequence[str] | None = None,
        downstream: Downstream,
        operation: str,
    ) -> IssuedTokens:
        """Begin a Session, at the named IdentityProvider or at that of the assertion's issuer.

        Raises:
            AuthenticationError: nobody is signed in.
            ScopeError: `scopes` cannot be read.
        """
        ...


class AssertionService:
    """The method by which workloads come without a Credential."""

    def __init__(self, workloads: SignIn) -> None:
        self._workloads = workloads

    async def authenticate_with_assertion(
        self, request: auth.AuthenticateWithAssertionRequest, call: Call
    ) -> auth.SessionToken:
        """Begin a Session of the WORKLOAD that an assertion is about."""
        try:
            issued = await self._workloads.sign_in(
                request.assertion,
                provider_name=request.identity_provider_ref.name,
                provider_uid=request.identity_provider_ref.uid,
                scopes=request.scopes,
                downstream=downstream_of(call),
                operation=call.operation,
            )
        except ScopeError as error:  # official servers answer this method so
            raise UnauthenticatedError(str(error)) from error
        return session_token(issued)
