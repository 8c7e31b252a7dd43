"""The Cluster's SAML metadata, for those who set it up at an identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from octelium.authserver.providers.saml import own_metadata
from octelium.authserver.providers.saml_metadata import MEDIA_TYPE
from octelium.authserver.requests import only
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from starlette.requests import Request

    from octelium.authserver.site import Site
    from octelium.store.resources import Resources

METADATA_PATH: Final = "/saml/metadata"
_SAML: Final = core.IdentityProviderStatusType__.SAML


class SamlPage:
    """Answers anybody: nothing in it is secret."""

    def __init__(self, site: Site, resources: Resources) -> None:
        self._site = site
        self._resources = resources

    async def metadata(self, request: Request) -> Response:
        """For the IdentityProvider that `provider` names, or with the usual entity ID."""
        spec = core.IdentityProviderSpecSaml()
        if "provider" in request.query_params:
            found = self._find(only(request, "provider"))
            if found is None:
                return Response("no IdentityProvider of type saml has this name\n", 404)
            spec = found.spec.saml
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return Response(own_metadata(self._site, spec), 200, headers, MEDIA_TYPE)

    def _find(self, name: str) -> core.IdentityProvider | None:
        provider = self._resources.peek(core.IdentityProvider, name=name) if name else None
        return provider if provider is not None and provider.status.type == _SAML else None
