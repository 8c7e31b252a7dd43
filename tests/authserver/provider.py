"""An IdentityProvider that vouches for whom a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from octelium.authserver.providers.interface import (
    Begun,
    LoginContext,
    ProviderError,
    ProviderUnavailableError,
)
from octelium.identity.verified import VerifiedIdentity
from tests.identity.providers import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from octelium.schema.pb import core_v1_pb2 as core

AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


class FakeProvider:
    """`code` is who signs in; `refused` is nobody."""

    def __init__(self) -> None:
        self.down = False
        self.begun: list[LoginContext] = []
        self.finished: list[tuple[LoginContext, dict[str, str], dict[str, str]]] = []
        self.failure: Exception | None = None
        self.url = "https://idp.test/authorize"

    def of(self, provider: core.IdentityProvider) -> FakeProvider:
        """It speaks two protocols."""
        if provider.status.type not in (TYPES.OIDC, TYPES.SAML):
            raise ProviderUnavailableError("another type")
        return self

    async def begin(self, login: LoginContext) -> Begun:
        if self.down:
            raise ProviderUnavailableError("it is down; the password is sesame")
        self.begun.append(login)
        query = urlencode({"state": login.state})
        return Begun(f"{self.url}?{query}", {"nonce": f"nonce of {login.state}"})

    async def finish(
        self, login: LoginContext, parameters: Mapping[str, str], private: Mapping[str, str]
    ) -> VerifiedIdentity:
        self.finished.append((login, dict(parameters), dict(private)))
        assert private == {"nonce": f"nonce of {login.state}"}
        if self.failure is not None:
            raise self.failure
        name = parameters.get("code") or parameters.get("SAMLResponse", "refused")
        if name == "refused":
            raise ProviderError("nobody signed in; the password is sesame")
        return VerifiedIdentity(login.provider, name)


def state_of(url: str) -> str:
    """The state that a login at the provider began with."""
    (state,) = parse_qs(urlsplit(url).query)["state"]
    return state


def set_cookies(response: httpx.Response) -> dict[str, dict[str, Any]]:
    """The cookies of a response: by name, their values and attributes."""
    found: dict[str, dict[str, Any]] = {}
    for line in response.headers.get_list("set-cookie"):
        pair, *rest = line.split("; ")
        name, _, value = pair.partition("=")
        attributes = dict(part.partition("=")[::2] for part in rest)
        found[name] = {"value": value, **attributes}
    return found
