"""A Cluster with web IdentityProviders, whose protocols talk to test peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.authserver.keys_of_issuers import KeysOfIssuers
from octelium.authserver.providers.discovery import Discoveries
from octelium.authserver.providers.interface import LoginContext, ProviderError, WebProvider
from octelium.authserver.providers.registry import WebProviders
from octelium.authserver.site import Site
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.providers import trusting
from tests.peers.walking import walk

if TYPE_CHECKING:
    from octelium.identity.verified import VerifiedIdentity
    from tests.identity.cluster import Cluster
    from tests.peers.walking import Landing

TYPES = core.IdentityProviderStatusType__
CALLBACK = "https://example.com/callback"
STATE = "s" * 36


class World:
    """The protocols as the login host uses them, for the domain `example.com`."""

    def __init__(self, cluster: Cluster, *, github_url: str = "https://github.com") -> None:
        self.cluster = cluster
        fetcher = trusting.fetcher()
        discoveries = Discoveries(fetcher)
        self.providers = WebProviders(
            Site("example.com"),
            cluster.resources,
            fetcher,
            discoveries,
            KeysOfIssuers(fetcher, discoveries),
            github_url=github_url,
        )

    async def add_secret(self, value: str | bytes, name: str = "client") -> None:
        """The Secret that IdentityProviders of `add` name."""
        secret = core.Secret()
        secret.metadata.name = name
        if isinstance(value, str):
            secret.data.value = value
        else:
            secret.data.value_bytes = value
        await self.cluster.write(lambda tx: tx.create(secret))

    async def add(self, name: str, kind: Any, **spec: Any) -> core.IdentityProvider:
        """An IdentityProvider of a type, with these fields of its part of the spec."""
        provider = core.IdentityProvider()
        provider.metadata.name = name
        provider.status.type = kind
        form = {TYPES.GITHUB: "github", TYPES.OIDC: "oidc", TYPES.SAML: "saml"}[kind]
        part = getattr(provider.spec, form)
        part.SetInParent()
        if form != "saml":
            part.client_secret.from_secret = "client"
        for field, value in spec.items():
            if isinstance(value, list):
                getattr(part, field).extend(value)
            else:
                setattr(part, field, value)
        return await self.cluster.write(lambda tx: tx.create(provider))

    def of(self, provider: core.IdentityProvider) -> WebProvider:
        return self.providers.of(provider)

    async def walk(
        self, provider: core.IdentityProvider, **answers: str
    ) -> tuple[LoginContext, dict[str, str], Landing]:
        """Begin a login and go through the provider's pages; what `finish` is then given."""
        login = LoginContext(provider, STATE)
        begun = await self.of(provider).begin(login)
        landing = await walk(begun.url, CALLBACK, answers, trusting.context())
        return login, dict(begun.private), landing

    async def sign_in(self, provider: core.IdentityProvider, **answers: str) -> VerifiedIdentity:
        """The whole of a login."""
        login, private, landing = await self.walk(provider, **answers)
        return await self.of(provider).finish(login, landing.parameters, private)


async def refusal(
    world: World,
    login: LoginContext,
    parameters: dict[str, str],
    private: dict[str, str],
) -> str:
    """Why a return is refused, for the log; whoever asks learns nothing."""
    with pytest.raises(ProviderError) as caught:
        await world.of(login.provider).finish(login, parameters, private)
    assert caught.value.answer == "Unauthenticated User"
    return str(caught.value)
