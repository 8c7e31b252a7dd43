"""Which protocol a web IdentityProvider speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.authserver.providers.github import GITHUB, GitHub
from octelium.authserver.providers.interface import ProviderUnavailableError
from octelium.authserver.providers.oidc import Oidc
from octelium.authserver.providers.saml import Saml
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.authserver.keys_of_issuers import KeysOfIssuers
    from octelium.authserver.providers.discovery import Discoveries
    from octelium.authserver.providers.fetch import Fetcher
    from octelium.authserver.providers.interface import WebProvider
    from octelium.authserver.site import Site
    from octelium.store.reading import Reader

_TYPES = core.IdentityProviderStatusType__


class WebProviders:
    """The protocols, by the type of an IdentityProvider.

    `github_url` is that of a GitHub Enterprise Server, where it is not GitHub itself.
    """

    def __init__(
        self,
        site: Site,
        resources: Reader,
        fetcher: Fetcher,
        discoveries: Discoveries,
        keys: KeysOfIssuers,
        *,
        github_url: str = GITHUB,
    ) -> None:
        self._protocols: dict[int, WebProvider] = {
            _TYPES.GITHUB: GitHub(site, resources, fetcher, url=github_url),
            _TYPES.OIDC: Oidc(site, resources, fetcher, discoveries, keys),
            _TYPES.SAML: Saml(site, fetcher),
        }

    def of(self, provider: core.IdentityProvider) -> WebProvider:
        """The protocol of a provider.

        Raises:
            ProviderUnavailableError: people do not sign in with it.
        """
        protocol = self._protocols.get(provider.status.type)
        if protocol is None:
            name = provider.metadata.name
            raise ProviderUnavailableError(f"people do not sign in by the provider {name}")
        return protocol
