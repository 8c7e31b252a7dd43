"""SAML 2.0: web browser sign-on, requests by redirect and responses by a posted form."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import secrets
import time
import zlib
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from octelium.authserver.providers import client
from octelium.authserver.providers.cache import Cache
from octelium.authserver.providers.fetch import FetchError
from octelium.authserver.providers.interface import (
    CALLBACK_PATH,
    Begun,
    ProviderDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from octelium.authserver.providers.saml_metadata import (
    LARGEST,
    POST,
    IdentityProviderMetadata,
    read_metadata,
    service_provider_metadata,
)
from octelium.authserver.providers.saml_response import (
    Assertion,
    DeniedError,
    ResponseError,
    Wanted,
    verify,
)
from octelium.authserver.providers.xml import XmlError
from octelium.identity.verified import VerifiedIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.authserver.providers.fetch import Fetcher
    from octelium.authserver.providers.interface import LoginContext
    from octelium.authserver.site import Site
    from octelium.schema.pb import core_v1_pb2 as core

EMAIL: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
"""The attribute that identifies people unless another one is chosen."""
_LIFETIME: Final = 60.0
"""Seconds that metadata is used; several logins at a time share it."""
_PAUSE: Final = 2.0


class Saml:
    """See `WebProvider`; for IdentityProviders of type `saml`. `clock` gives Unix seconds."""

    def __init__(
        self, site: Site, fetcher: Fetcher, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._site = site
        self._consumer = site.origin + CALLBACK_PATH
        self._fetcher = fetcher
        self._clock = clock
        self._cache = Cache(self._fetch, lifetime=_LIFETIME, pause=_PAUSE)

    async def begin(self, login: LoginContext) -> Begun:
        """Send the browser to the sign-on service with a request."""
        spec = login.provider.spec.saml
        found = await self._metadata(spec)
        request_id = f"_{secrets.token_hex(20)}"
        own = entity_id(self._site, spec)
        request = _request(request_id, found.sign_on_url, self._consumer, own, spec, self._clock())
        parameters = {"SAMLRequest": _packed(request), "RelayState": login.state}
        url = client.with_parameters(found.sign_on_url, parameters)
        return Begun(url, {"request": request_id})

    async def finish(
        self, login: LoginContext, parameters: Mapping[str, str], private: Mapping[str, str]
    ) -> VerifiedIdentity:
        """Check the response that the browser posted."""
        spec = login.provider.spec.saml
        response = parameters.get("SAMLResponse", "")
        if not response:
            raise ProviderError("the browser came back without a SAML response")
        wanted = Wanted(
            await self._metadata(spec),
            entity_id(self._site, spec),
            self._consumer,
            private["request"],
            self._clock(),
        )
        try:  # signatures take some milliseconds
            assertion = await asyncio.to_thread(verify, response, wanted)
        except DeniedError as error:
            raise ProviderDeniedError(str(error)) from error
        except ResponseError as error:
            raise ProviderError(str(error)) from error
        return _identity(login.provider, assertion)

    async def _metadata(self, spec: core.IdentityProviderSpecSaml) -> IdentityProviderMetadata:
        try:
            data = await self._cache.get(spec.metadata_url) if spec.metadata_url else spec.metadata
            raw = data.encode() if isinstance(data, str) else data
            return read_metadata(raw, now=self._clock())
        except (FetchError, XmlError) as error:
            raise ProviderUnavailableError(str(error)) from error

    async def _fetch(self, url: str) -> bytes:
        answer = await self._fetcher.get(
            url, configured=url, limit=LARGEST, headers={"Accept": "application/samlmetadata+xml"}
        )
        return answer.require_ok().body


def entity_id(site: Site, spec: core.IdentityProviderSpecSaml) -> str:
    """What the Cluster calls itself at a provider."""
    return spec.entity_id or site.issuer


def own_metadata(site: Site, spec: core.IdentityProviderSpecSaml) -> bytes:
    """The Cluster's metadata for a provider, as XML."""
    return service_provider_metadata(entity_id(site, spec), site.origin + CALLBACK_PATH)


def _request(
    request_id: str,
    destination: str,
    consumer: str,
    own: str,
    spec: core.IdentityProviderSpecSaml,
    now: float,
) -> str:
    """A request for authentication (SAML Core 3.4.1)."""
    issued = dt.datetime.fromtimestamp(int(now), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    force = ' ForceAuthn="true"' if spec.force_authn else ""
    return (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" '
        'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
        f'ID="{request_id}" Version="2.0" IssueInstant="{issued}"{force} '
        f'Destination={quoteattr(destination)} ProtocolBinding="{POST}" '
        f"AssertionConsumerServiceURL={quoteattr(consumer)}>"
        f"<saml:Issuer>{escape(own)}</saml:Issuer>"
        "</samlp:AuthnRequest>"
    )


def _packed(request: str) -> str:
    """By the DEFLATE encoding of SAML Bindings 3.4.4.1."""
    packer = zlib.compressobj(wbits=-15)
    return base64.b64encode(packer.compress(request.encode()) + packer.flush()).decode()


def _identity(provider: core.IdentityProvider, assertion: Assertion) -> VerifiedIdentity:
    name = provider.spec.saml.identifier_attribute or EMAIL
    values = assertion.attributes.get(name, [])
    if len(values) != 1:
        raise ProviderError(f"the assertion has {len(values)} values of the attribute {name!r}")
    (identifier,) = values
    return VerifiedIdentity(
        provider=provider,
        identifier=identifier,
        email=identifier if "@" in identifier else "",
        claims=dict(assertion.attributes),
        assertion=assertion.text,
    )
