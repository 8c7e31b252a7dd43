from __future__ import annotations

from typing import Any

import pytest

from octelium.authserver.providers.github import GitHub
from octelium.authserver.providers.interface import ProviderUnavailableError
from octelium.authserver.providers.oidc import Oidc
from octelium.authserver.providers.saml import Saml
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.providers.world import TYPES, World


@pytest.mark.parametrize(
    ("kind", "protocol"), [(TYPES.GITHUB, GitHub), (TYPES.OIDC, Oidc), (TYPES.SAML, Saml)]
)
async def test_protocols(world: World, kind: Any, protocol: type) -> None:
    provider = await world.add("provider", kind)
    assert isinstance(world.of(provider), protocol)


@pytest.mark.parametrize("kind", [TYPES.OIDC_IDENTITY_TOKEN, 0, 99])
async def test_others_are_not_for_people(world: World, kind: Any) -> None:
    provider = core.IdentityProvider()
    provider.metadata.name = "ci"
    provider.status.type = kind
    with pytest.raises(ProviderUnavailableError, match="provider ci"):
        world.of(provider)
