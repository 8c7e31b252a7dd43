"""Ways to prove who one is that need nobody at the keyboard, and where they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.client.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octelium.client.tokens import Exchange, Proof
    from octelium.schema.pb import auth_v1_pb2 as auth


@dataclass(frozen=True)
class AuthenticationToken:
    """The token of a Credential."""

    token: str = field(repr=False)

    def tokens(self, exchange: Exchange, scopes: Sequence[str]) -> auth.SessionToken:
        """Make a Session. Raises ApiError."""
        try:
            return exchange.authenticate(self.token, scopes)
        except ApiError as error:
            if error.code != "UNAUTHENTICATED":
                raise
            raise ApiError(
                error.code,
                "this token is not valid here (expired, rotated, used up, or of another Cluster)",
                error.method,
                "make another one: octeliumctl create credential NAME --rotate",
            ) from error


def environment_proof(environ: Mapping[str, str], domain: str) -> Proof | None:
    """What the environment gives to log in with, if it gives anything.

    The names are those of Octelium's command line and SDKs. Raises SettingsError.
    """
    if token := environ.get("OCTELIUM_AUTH_TOKEN"):
        return AuthenticationToken(token)
    # Most commands find nothing here, and need not load the rest.
    if environ.get("OCTELIUM_AUTH_ASSERTION"):
        from octelium.client.assertions import assertion_of

        return assertion_of(environ["OCTELIUM_AUTH_ASSERTION"], environ, domain)
    if environ.get("OCTELIUM_ASSERTION"):
        from octelium.client.assertions import assertion_of

        return assertion_of("jwt:env=OCTELIUM_ASSERTION", environ, domain)
    if path := environ.get("OCTELIUM_ASSERTION_FILE"):
        from octelium.client.assertions import assertion_in

        return assertion_in(path)
    return None
