from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from octelium.identity import credential_tokens
from octelium.identity.errors import CredentialUnusableError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import ACCESS_TOKEN, AUTH_TOKEN, NOW, OAUTH2, Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def generate(cluster: Cluster, credential: core.Credential) -> core.CredentialToken:
    signer, uid = cluster.keyring.signer, credential.metadata.uid
    return await cluster.write(
        lambda tx: credential_tokens.generate(tx, signer, tx.get(core.Credential, uid=uid), NOW)
    )


async def test_each_type_has_its_own_form(cluster: Cluster) -> None:
    verify = cluster.keyring.verifier.verify
    credential = await cluster.add_credential(credential_type=AUTH_TOKEN)
    made = await generate(cluster, credential)
    claims = verify(made.authentication_token.authentication_token, TokenType.CREDENTIAL)
    assert claims is not None
    assert claims.subject == credential.metadata.uid
    credential = await cluster.add_credential(credential_type=OAUTH2)
    client = (await generate(cluster, credential)).oauth2_credentials
    assert client.client_id == credential.status.id
    assert verify(client.client_secret, TokenType.CREDENTIAL) is not None
    assert cluster.sessions() == []
    credential = await cluster.add_credential(credential_type=ACCESS_TOKEN)
    token = (await generate(cluster, credential)).access_token.access_token
    claims = verify(token, TokenType.ACCESS)
    assert claims is not None
    assert [claims.subject] == [one.metadata.uid for one in cluster.sessions()]


async def test_a_type_without_tokens_changes_nothing(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=0)
    with pytest.raises(CredentialUnusableError, match="no type that tokens exist for"):
        await generate(cluster, credential)
    assert cluster.get(credential) == credential
