"""OpenID Connect: the authorization code flow of a confidential client with PKCE.

OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207 (an answer of another provider than the
one that was asked is refused).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from octelium.authserver.keys_of_issuers import KeySource
from octelium.authserver.providers import client
from octelium.authserver.providers.fetch import FetchError
from octelium.authserver.providers.interface import (
    CALLBACK_PATH,
    Begun,
    ProviderError,
    ProviderUnavailableError,
)
from octelium.identity import assertions
from octelium.identity.assertions import Expected, UnprovenError, Unverified
from octelium.identity.verified import VerifiedIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.authserver.keys_of_issuers import KeysOfIssuers
    from octelium.authserver.providers.discovery import Discoveries, Discovery
    from octelium.authserver.providers.fetch import Fetched, Fetcher
    from octelium.authserver.providers.interface import LoginContext
    from octelium.authserver.site import Site
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.store.reading import Reader

_SCOPES: Final = ("profile", "email")
_MOST_CLAIMS: Final = 20
"""Names of claims that the log shows."""
_PROTECTED: Final = frozenset(
    ("iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "azp", "auth_time", "acr", "amr")
)
"""Claims about the authentication itself, which only the ID token can tell."""
_EMAIL: Final = frozenset(("email", "email_verified"))
_HASHES: Final = {"RS256": "sha256", "ES256": "sha256", "ES384": "sha384"}


class Oidc:
    """See `WebProvider`; for IdentityProviders of type `oidc`."""

    def __init__(
        self,
        site: Site,
        resources: Reader,
        fetcher: Fetcher,
        discoveries: Discoveries,
        keys: KeysOfIssuers,
    ) -> None:
        self._redirect_uri = site.origin + CALLBACK_PATH
        self._resources = resources
        self._fetcher = fetcher
        self._discoveries = discoveries
        self._keys = keys

    async def begin(self, login: LoginContext) -> Begun:
        """Send the browser to the authorization endpoint."""
        spec = login.provider.spec.oidc
        found = await self._discover(spec)
        nonce, verifier = client.unpadded(secrets.token_bytes(16)), client.new_verifier()
        parameters = {
            "response_type": "code",
            "client_id": spec.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *(spec.scopes or _SCOPES)])),
            "state": login.state,
            "nonce": nonce,
            "code_challenge": client.challenge(verifier),
            "code_challenge_method": "S256",
        }
        url = client.with_parameters(found.authorization_endpoint, parameters)
        return Begun(url, {"nonce": nonce, "verifier": verifier})

    async def finish(
        self, login: LoginContext, parameters: Mapping[str, str], private: Mapping[str, str]
    ) -> VerifiedIdentity:
        """Redeem the code, and check the ID token."""
        spec = login.provider.spec.oidc
        found = await self._discover(spec)
        _check_answering_issuer(found, parameters)
        code = client.code_of(parameters)
        try:
            tokens = await self._redeem(spec, found, code, private["verifier"])
            claims = await self._verified(spec, found, tokens, private["nonce"])
            if spec.use_user_info_endpoint:
                claims = await self._completed(spec, found, tokens, claims)
        except UnprovenError as error:
            raise ProviderError(f"the ID token proves nothing: {error}") from error
        except FetchError as error:
            raise ProviderUnavailableError(str(error)) from error
        return _identity(login.provider, claims)

    async def _discover(self, spec: core.IdentityProviderSpecOidc) -> Discovery:
        try:
            found = await self._discoveries.get(spec.issuer_url)
        except FetchError as error:
            raise ProviderUnavailableError(str(error)) from error
        if not found.authorization_endpoint or not found.token_endpoint:
            raise ProviderUnavailableError(f"{spec.issuer_url} names no endpoints for logins")
        return found

    async def _redeem(
        self, spec: core.IdentityProviderSpecOidc, found: Discovery, code: str, verifier: str
    ) -> dict[str, Any]:
        """The token endpoint's answer (RFC 6749 section 4.1.3)."""
        secret = client.client_secret(self._resources, spec.client_secret.from_secret)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        methods = found.token_methods or ("client_secret_basic",)
        if "client_secret_basic" in methods:
            pair = f"{quote_plus(spec.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif "client_secret_post" in methods:
            form |= {"client_id": spec.client_id, "client_secret": secret}
        else:
            raise ProviderUnavailableError(
                f"{spec.issuer_url} takes clients neither by client_secret_basic nor by "
                "client_secret_post"
            )
        answer = await self._fetcher.post(
            found.token_endpoint,
            form,
            configured=spec.issuer_url,
            limit=client.ANSWER_LIMIT,
            headers=headers,
        )
        return _tokens(answer)

    async def _verified(
        self,
        spec: core.IdentityProviderSpecOidc,
        found: Discovery,
        tokens: Mapping[str, Any],
        nonce: str,
    ) -> Mapping[str, Any]:
        """The claims of the ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""
        unverified = assertions.read(client.text_claim(tokens, "id_token"))
        source = KeySource(spec.issuer_url, found.jwks_uri)
        claims = await self._keys.verify(unverified, source, Expected(found.issuer, spec.client_id))
        told = client.text_claim(claims, "nonce")
        if not hmac.compare_digest(told.encode(), nonce.encode()):
            raise UnprovenError("its nonce is that of another login")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else spec.client_id) != spec.client_id:
            raise UnprovenError("it was issued to another client")
        _check_access_token(unverified, claims, client.text_claim(tokens, "access_token"))
        return claims

    async def _completed(
        self,
        spec: core.IdentityProviderSpecOidc,
        found: Discovery,
        tokens: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """The claims, with those of the UserInfo endpoint (OpenID Connect Core 1.0 section 5.3)."""
        if not found.userinfo_endpoint:
            raise ProviderUnavailableError(f"{spec.issuer_url} has no UserInfo endpoint")
        token = client.text_claim(tokens, "access_token")
        if not token or not token.isascii() or not token.isprintable():
            raise ProviderUnavailableError(f"{spec.issuer_url} issues no usable access token")
        answer = await self._fetcher.get(
            found.userinfo_endpoint,
            configured=spec.issuer_url,
            limit=client.ANSWER_LIMIT,
            headers={"Authorization": f"Bearer {token}"},
        )
        told = answer.require_ok().json_object()
        if told.get("sub") != claims["sub"]:
            raise ProviderError("the UserInfo endpoint tells about somebody else")
        return _merged(claims, told)


def _merged(claims: Mapping[str, Any], told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The claims of the ID token, with those of the UserInfo endpoint.

    Whether an address is verified is said of the one that stands beside it (OpenID Connect Core
    1.0 section 5.1): an address of one source never goes with the other's word.
    """
    more = {name: value for name, value in told.items() if name not in _PROTECTED}
    if "email" not in told:
        more.pop("email_verified", None)
    elif told["email"] != claims.get("email"):
        claims = {name: value for name, value in claims.items() if name not in _EMAIL}
    return {**claims, **more}


def _check_answering_issuer(found: Discovery, parameters: Mapping[str, str]) -> None:
    """RFC 9207 section 2.4."""
    issuer = parameters.get("iss")
    if issuer is None and found.names_itself:
        raise ProviderError("the answer does not say which issuer it is from")
    if issuer is not None and issuer != found.issuer:
        raise ProviderError("the answer is from another issuer")


def _tokens(answer: Fetched) -> dict[str, Any]:
    body = answer.json_object()
    if answer.status != 200 or "error" in body:
        raise client.refused("the token endpoint", body)
    if client.text_claim(body, "token_type").lower() != "bearer":
        raise ProviderUnavailableError(f"{answer.place} issues no Bearer token")
    if not client.text_claim(body, "id_token"):
        raise ProviderUnavailableError(f"{answer.place} issues no ID token")
    return body


def _check_access_token(
    unverified: Unverified, claims: Mapping[str, Any], access_token: str
) -> None:
    """OpenID Connect Core 1.0 section 3.1.3.8; the claim is optional in this flow."""
    if "at_hash" not in claims:
        return
    digest = hashlib.new(_HASHES[unverified.algorithm], access_token.encode()).digest()
    expected = client.unpadded(digest[: len(digest) // 2])
    if not hmac.compare_digest(client.text_claim(claims, "at_hash").encode(), expected.encode()):
        raise UnprovenError("it belongs to another access token")


def _identity(provider: core.IdentityProvider, claims: Mapping[str, Any]) -> VerifiedIdentity:
    spec = provider.spec.oidc
    name = spec.identifier_claim or "email"
    identifier = client.text_claim(claims, name)
    if not identifier:
        hint = "" if spec.use_user_info_endpoint else ", or ask more with useUserInfoEndpoint"
        told = ", ".join(sorted(map(repr, claims))[:_MOST_CLAIMS])
        raise ProviderError(
            f"the provider tells no claim {name!r} that is a text: choose another with "
            f"spec.oidc.identifierClaim{hint} (told: {told})"
        )
    verified = _flag(claims.get("email_verified"))
    if spec.check_email_verified and verified is not True:
        raise ProviderError("the provider does not say that it has verified the e-mail address")
    return VerifiedIdentity(
        provider=provider,
        identifier=identifier,
        email=client.text_claim(claims, "email"),
        email_verified=verified,
        picture_url=client.text_claim(claims, "picture"),
        claims=claims,
    )


def _flag(value: object) -> bool | None:
    """A claim that is true or false; some providers write it as a text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None
