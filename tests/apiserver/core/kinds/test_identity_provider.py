from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def provider(name: str = "corp", issuer: str = "https://sso.example.com") -> core.IdentityProvider:
    oidc = {"clientID": "oct", "clientSecret": {"fromSecret": "corp-oidc"}, "issuerURL": issuer}
    made: core.IdentityProvider = resource("IdentityProvider", name, spec={"oidc": oidc})
    return made


async def test_its_life(api: Harness) -> None:
    error = await api.refused("CreateIdentityProvider", provider())
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "corp-oidc" in codes(error)[1]
    await api.core("CreateSecret", resource("Secret", "corp-oidc", data={"value": "x"}))
    made = await api.core("CreateIdentityProvider", provider(issuer="HTTPS://SSO.example.com/"))
    assert made.spec.oidc.issuer_url == "https://sso.example.com"
    assert made.status.type == core.IdentityProviderStatusType__.OIDC
    error = await api.refused("CreateIdentityProvider", provider("corp2"))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    updated = await api.core("UpdateIdentityProvider", provider())
    assert updated.metadata.resource_version == made.metadata.resource_version
    await api.core("DeleteIdentityProvider", meta.DeleteOptions(name="corp"))


async def test_one_key_per_look_up(api: Harness) -> None:
    await api.core("CreateSecret", resource("Secret", "corp-oidc", data={"value": "x"}))
    made = await api.core("CreateIdentityProvider", provider())
    both = meta.GetOptions(name="corp", uid=made.metadata.uid)
    assert codes(await api.refused("GetIdentityProvider", both))[0] == "INVALID_ARGUMENT"
    by_uid = meta.GetOptions(uid=made.metadata.uid)
    assert await api.core("GetIdentityProvider", by_uid) == made
