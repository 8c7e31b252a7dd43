from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from octelium.cluster import tls_secrets
from octelium.cluster.bootstrap import bootstrap
from octelium.cluster.certificates import (
    CertificateError,
    Pair,
    cluster_names,
    issue,
    make_authority,
)
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import NotFound
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DOMAIN = "octelium.example"


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    store = await SqliteStore.open(tmp_path)
    made = Resources(store, Vault([os.urandom(32)]))
    await made.load()
    await bootstrap(made, DOMAIN, tmp_path / "ca.pem")
    yield made
    await made.close()


def held(resources: Resources) -> list[str]:
    found = [item.metadata.name for item in resources.peek_all(core.Secret)]
    return sorted(name for name in found if name.startswith("crt-ns-"))


async def make_namespace(resources: Resources, name: str) -> str:
    async with resources.transaction() as tx:
        namespace = core.Namespace(api_version="core/v1", kind="Namespace")
        namespace.metadata.name = name
        return str(tx.create(namespace).metadata.uid)


async def test_each_namespace_gets_a_certificate_and_loses_it(resources: Resources) -> None:
    leave = tls_secrets.follow(resources, DOMAIN)
    uid = await make_namespace(resources, "prod")
    while "crt-ns-prod" not in held(resources):
        await asyncio.sleep(0)
    secret = resources.get(core.Secret, name="crt-ns-prod")
    leaf, ca = x509.load_pem_x509_certificates(secret.spec.data.value.encode())
    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"*.prod.{DOMAIN}" in names.get_values_for_type(x509.DNSName)
    assert secret.metadata.is_system_hidden
    async with resources.transaction() as tx:
        tx.delete(core.Namespace, uid)
    while "crt-ns-prod" in held(resources):
        await asyncio.sleep(0)
    assert held(resources) == ["crt-ns-default"]
    leave()


async def test_what_was_missed_is_made_at_the_next_start(resources: Resources) -> None:
    await make_namespace(resources, "prod")
    await tls_secrets.issue_missing(resources, DOMAIN)
    assert held(resources) == ["crt-ns-default", "crt-ns-prod"]
    before = resources.revision
    await tls_secrets.issue_missing(resources, DOMAIN)
    assert resources.revision == before


async def test_a_certificate_is_replaced_or_refused_whole(resources: Resources) -> None:
    other = make_authority(DOMAIN)
    pair = issue(other, cluster_names(DOMAIN))
    await tls_secrets.install(resources, DOMAIN, "default", pair)
    stored = resources.get(core.Secret, name="crt-ns-default")
    assert stored.spec.data.value == pair.chain
    assert stored.metadata.is_system_hidden
    before = resources.revision
    with pytest.raises(CertificateError):
        await tls_secrets.install(resources, DOMAIN, "default", Pair(pair.chain, "no key"))
    foreign = issue(other, ["elsewhere.example"])
    with pytest.raises(CertificateError, match=rf"does not cover {DOMAIN} .*--force"):
        await tls_secrets.install(resources, DOMAIN, "default", foreign)
    with pytest.raises(NotFound):
        await tls_secrets.install(resources, DOMAIN, "nowhere", foreign, force=True)
    assert resources.revision == before
    await tls_secrets.install(resources, DOMAIN, "default", foreign, force=True)
    assert resources.revision == before + 1


async def test_the_way_back_to_the_cluster_s_own(resources: Resources, tmp_path: Path) -> None:
    foreign = issue(make_authority(DOMAIN), cluster_names(DOMAIN))
    await tls_secrets.install(resources, DOMAIN, "default", foreign)
    await tls_secrets.install_own(resources, DOMAIN, "default")
    chain = resources.get(core.Secret, name="crt-ns-default").spec.data.value
    assert chain.endswith((tmp_path / "ca.pem").read_text())


async def test_the_authority_is_out_of_reach_for_the_api(resources: Resources) -> None:
    secret = resources.get(core.Secret, name=tls_secrets.AUTHORITY)
    assert secret.metadata.is_system
    assert secret.metadata.is_system_hidden
    assert secret.metadata.system_labels.get(tls_secrets.LABEL) is None


async def test_the_own_authority_counts_while_its_certificate_is_served(
    resources: Resources,
) -> None:
    own = tls_secrets.authority_of(resources).chain
    assert tls_secrets.authority_in_use(resources) == own
    other = issue(make_authority("other.example"), cluster_names(DOMAIN))
    await tls_secrets.install(resources, DOMAIN, "default", other)
    assert tls_secrets.authority_in_use(resources) == ""
    await tls_secrets.install_own(resources, DOMAIN, "default")
    assert tls_secrets.authority_in_use(resources) == own
