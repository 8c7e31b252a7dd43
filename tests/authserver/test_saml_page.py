from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from octelium.authserver.providers.xml import METADATA, parse
from octelium.authserver.saml_page import METADATA_PATH, SamlPage
from octelium.authserver.site import Site
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import open_cluster
from tests.identity.providers import add_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.store.transaction import Transaction


def fill(tx: Transaction) -> None:
    add_provider(tx, "usual", "saml")
    add_provider(tx, "other", "oidc")
    own = core.IdentityProvider()
    own.metadata.name = "own"
    own.status.type = core.IdentityProviderStatusType__.SAML
    own.spec.saml.metadata_url = "https://idp.example/metadata"
    own.spec.saml.entity_id = "urn:<own>"
    tx.create(own)


@pytest_asyncio.fixture(name="client")
async def client_fixture(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_cluster(tmp_path) as cluster:
        await cluster.write(fill)
        page = SamlPage(Site("example.com", 8443), cluster.resources)
        app = Starlette(routes=[Route(METADATA_PATH, page.metadata)])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://example.com") as client:
            yield client


@pytest.mark.parametrize(
    ("query", "entity_id"),
    [
        ("", "https://example.com"),
        ("?provider=usual", "https://example.com"),
        ("?provider=own", "urn:<own>"),
    ],
)
async def test_metadata(client: httpx.AsyncClient, query: str, entity_id: str) -> None:
    response = await client.get(METADATA_PATH + query)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/samlmetadata+xml"
    assert response.headers["x-content-type-options"] == "nosniff"
    root = parse(response.content, largest=10_000)
    assert root.get("entityID") == entity_id
    (service,) = root.iter(METADATA + "AssertionConsumerService")
    assert service.get("Location") == "https://example.com:8443/callback"


@pytest.mark.parametrize("query", ["?provider=other", "?provider=", "?provider=own&provider=own"])
async def test_there_is_none(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(METADATA_PATH + query)).status_code == 404
