"""GitHub, and GitHub Enterprise Server: OAuth 2.0, and the API that says who somebody is.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps and the REST
API's `/user` and `/user/emails`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.authserver.providers import client
from octelium.authserver.providers.fetch import FetchError
from octelium.authserver.providers.interface import (
    CALLBACK_PATH,
    Begun,
    ProviderError,
    ProviderUnavailableError,
)
from octelium.identity.verified import VerifiedIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.authserver.providers.fetch import Fetched, Fetcher
    from octelium.authserver.providers.interface import LoginContext
    from octelium.authserver.site import Site
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.store.reading import Reader

GITHUB: Final = "https://github.com"
_API_VERSION: Final = "2022-11-28"


class GitHub:
    """See `WebProvider`; for IdentityProviders of type `github`.

    `url` is that of the GitHub Enterprise Server, if it is not GitHub itself.
    """

    def __init__(
        self, site: Site, resources: Reader, fetcher: Fetcher, *, url: str = GITHUB
    ) -> None:
        self._redirect_uri = site.origin + CALLBACK_PATH
        self._resources = resources
        self._fetcher = fetcher
        self._url = url.rstrip("/")
        self._api = "https://api.github.com" if self._url == GITHUB else f"{self._url}/api/v3"

    async def begin(self, login: LoginContext) -> Begun:
        """Send the browser to the authorization page."""
        verifier = client.new_verifier()
        parameters = {
            "response_type": "code",
            "client_id": login.provider.spec.github.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "user:email",
            "state": login.state,
            "code_challenge": client.challenge(verifier),
            "code_challenge_method": "S256",
        }
        url = client.with_parameters(f"{self._url}/login/oauth/authorize", parameters)
        return Begun(url, {"verifier": verifier})

    async def finish(
        self, login: LoginContext, parameters: Mapping[str, str], private: Mapping[str, str]
    ) -> VerifiedIdentity:
        """Redeem the code, and ask the API about its owner."""
        code = client.code_of(parameters)
        try:
            token = await self._redeem(login.provider.spec.github, code, private["verifier"])
            user = await self._user(token)
            email = await self._email(token)
        except FetchError as error:
            raise ProviderUnavailableError(str(error)) from error
        name = client.text_claim(user, "login")
        if not name:
            raise ProviderUnavailableError("GitHub tells no login name")
        return VerifiedIdentity(
            provider=login.provider,
            identifier=name,
            email=email,
            email_verified=True if email else None,
            picture_url=client.text_claim(user, "avatar_url"),
            claims=user,
        )

    async def _redeem(self, spec: core.IdentityProviderSpecGithub, code: str, verifier: str) -> str:
        """An access token. GitHub answers with status 200 also when it refuses."""
        form = {
            "client_id": spec.client_id,
            "client_secret": client.client_secret(self._resources, spec.client_secret.from_secret),
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        answer = await self._fetcher.post(
            f"{self._url}/login/oauth/access_token",
            form,
            configured=self._url,
            limit=client.ANSWER_LIMIT,
        )
        body = answer.json_object()
        if answer.status != 200 or "error" in body:
            raise client.refused("GitHub", body)
        token = client.text_claim(body, "access_token")
        kind = client.text_claim(body, "token_type").lower()
        if kind != "bearer" or not token or not token.isascii() or not token.isprintable():
            raise ProviderUnavailableError("GitHub issues no usable access token")
        return token

    async def _user(self, token: str) -> dict[str, Any]:
        answer = await self._ask("/user", token)
        return answer.require_ok().json_object()

    async def _email(self, token: str) -> str:
        """The verified primary address, or else the first verified one; empty without any."""
        answer = await self._ask("/user/emails?per_page=100", token)
        addresses = answer.require_ok().json_list()
        verified = [
            entry
            for entry in addresses
            if isinstance(entry, dict) and entry.get("verified") is True
        ]
        verified.sort(key=lambda entry: entry.get("primary") is not True)
        return client.text_claim(verified[0], "email") if verified else ""

    async def _ask(self, path: str, token: str) -> Fetched:
        answer = await self._fetcher.get(
            self._api + path,
            configured=self._url,
            limit=client.ANSWER_LIMIT,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token}",
                "X-GitHub-Api-Version": _API_VERSION,
            },
        )
        if answer.status in (401, 403):
            raise ProviderError(f"{answer.place} refuses the access token")
        return answer
