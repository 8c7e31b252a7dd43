"""What an issuer publishes about itself (OpenID Connect Discovery 1.0, RFC 8414)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.authserver.providers.cache import Cache
from octelium.authserver.providers.fetch import Fetcher, FetchError
from octelium.identity.assertions import same_issuer

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = "/.well-known/openid-configuration"
_LARGEST: Final = 256 << 10
_LIFETIME: Final = 60.0
"""Seconds that a document is used; several logins at a time share it."""
_PAUSE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Discovery:
    """An issuer's own description. All URLs are https; optional ones are empty."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    token_methods: tuple[str, ...] = ()
    names_itself: bool = False
    """Whether its answers to browsers carry `iss` (RFC 9207)."""

    @classmethod
    def parse(cls, document: Mapping[str, Any], issuer_url: str) -> Discovery:
        """The description by which `issuer_url` is an issuer. Raises FetchError."""
        issuer = document.get("issuer")
        if not isinstance(issuer, str) or not same_issuer(issuer, issuer_url):
            raise FetchError(f"the discovery document of {issuer_url} is of another issuer")
        methods = document.get("token_endpoint_auth_methods_supported")
        return cls(
            issuer,
            _endpoint(document, "jwks_uri", issuer_url, required=True),
            _endpoint(document, "authorization_endpoint", issuer_url),
            _endpoint(document, "token_endpoint", issuer_url),
            _endpoint(document, "userinfo_endpoint", issuer_url),
            tuple(str(method) for method in methods) if isinstance(methods, list) else (),
            document.get("authorization_response_iss_parameter_supported") is True,
        )


def _endpoint(
    document: Mapping[str, Any], name: str, issuer_url: str, *, required: bool = False
) -> str:
    url = document.get(name, "")
    if not isinstance(url, str) or (required and not url):
        raise FetchError(f"the discovery document of {issuer_url} has no {name}")
    if url and (not url.startswith("https://") or "#" in url):
        raise FetchError(f"the {name} in the discovery document of {issuer_url} is no https URL")
    return url


class Discoveries:
    """Discovery documents, by the issuer's URL."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._cache = Cache(self._fetch, lifetime=_LIFETIME, pause=_PAUSE)

    async def get(self, issuer_url: str) -> Discovery:
        """The document of an issuer, with or without a slash at its end. Raises FetchError."""
        return await self._cache.get(issuer_url.rstrip("/"))

    async def _fetch(self, issuer_url: str) -> Discovery:
        answer = await self._fetcher.get(issuer_url + PATH, configured=issuer_url, limit=_LARGEST)
        return Discovery.parse(answer.require_ok().json_object(), issuer_url)
