from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey

from octelium.authserver.keys_of_issuers import KeysOfIssuers
from octelium.authserver.providers.discovery import Discoveries
from octelium.authserver.site import Site
from octelium.authserver.workloads import LONGEST, TooLongError, Workloads
from octelium.identity.errors import UnauthenticatedError
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.providers import trusting
from tests.identity.cluster import Cluster, open_cluster
from tests.peers import issuer as peers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

AUDIENCE = "https://example.com"
TYPE = core.IdentityProviderStatusType__


@pytest.fixture(name="issuer", scope="module")
def issuer_fixture() -> Iterator[peers.Issuer]:
    with peers.issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture(name="workloads")
def workloads_fixture(cluster: Cluster) -> Workloads:
    fetcher = trusting.fetcher()
    keys = KeysOfIssuers(fetcher, Discoveries(fetcher))
    return Workloads(Site("example.com", 8443), cluster.resources, cluster.authentication, keys)


async def add_provider(cluster: Cluster, name: str = "ci", **spec: Any) -> core.IdentityProvider:
    provider = core.IdentityProvider()
    provider.metadata.name = name
    provider.status.type = spec.pop("type", TYPE.OIDC_IDENTITY_TOKEN)
    provider.spec.is_disabled = spec.pop("is_disabled", False)
    provider.status.is_locked = spec.pop("is_locked", False)
    for field, value in spec.items():
        setattr(provider.spec.oidc_identity_token, field, value)
    return await cluster.write(lambda tx: tx.create(provider))


async def refused(workloads: Workloads, assertion: str, name: str = "") -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await workloads.verify(assertion, name)
    assert caught.value.answer == "Unauthenticated User"
    return str(caught.value)


async def test_by_issuer_and_by_name(
    cluster: Cluster, issuer: peers.Issuer, workloads: Workloads
) -> None:
    provider = await add_provider(cluster, issuer_url=issuer.url)
    assertion = issuer.token("repo:org/app", AUDIENCE, ref="main")
    for name in ("", "ci"):
        verified = await workloads.verify(assertion, name)
        assert verified.provider.metadata.uid == provider.metadata.uid
        assert verified.identifier == "repo:org/app"
        assert verified.claims["ref"] == "main"
        assert verified.email == ""
    assert await refused(workloads, assertion, "other") == (
        "no IdentityProvider 'other' of workloads exists and is enabled"
    )


async def test_a_slash_at_the_end_of_the_issuer_is_no_difference(
    cluster: Cluster, issuer: peers.Issuer, workloads: Workloads
) -> None:
    await add_provider(cluster, issuer_url=issuer.url)
    assert await workloads.verify(issuer.token("a", AUDIENCE, iss=issuer.url + "/"))


async def test_jwks_modes(cluster: Cluster, issuer: peers.Issuer, workloads: Workloads) -> None:
    for name, place in (
        ("url", {"jwks_url": issuer.url + peers.JWKS}),
        ("content", {"jwks_content": json.dumps(issuer.jwks)}),
    ):
        internal = f"https://{name}.default.svc"
        await add_provider(cluster, name, issuer=internal, audience="aud", **place)
        verified = await workloads.verify(issuer.token("sa", "aud", iss=internal))
        assert verified.provider.metadata.name == name
        assert "audience is" in await refused(workloads, issuer.token("sa", AUDIENCE, iss=internal))
        assert "another issuer" in await refused(workloads, issuer.token("sa", "aud"), name)


async def test_audience(cluster: Cluster, issuer: peers.Issuer, workloads: Workloads) -> None:
    await add_provider(cluster, issuer_url=issuer.url)
    assert await workloads.verify(issuer.token("a", ["x", AUDIENCE]))  # type: ignore[arg-type]
    for other in ("https://example.com:8443", "https://example.com/", "x", "", [], [["x"]], 7):
        token = issuer.token("a", other)  # type: ignore[arg-type]
        assert "audience is" in await refused(workloads, token)


@pytest.mark.parametrize(
    "status", [{"is_disabled": True}, {"is_locked": True}, {"type": TYPE.OIDC}]
)
async def test_providers_that_are_not_used(
    cluster: Cluster, issuer: peers.Issuer, workloads: Workloads, status: dict[str, Any]
) -> None:
    await add_provider(cluster, issuer_url=issuer.url, **status)
    assertion = issuer.token("a", AUDIENCE)
    assert "no IdentityProvider" in await refused(workloads, assertion)
    assert "no IdentityProvider" in await refused(workloads, assertion, "ci")


async def test_several_providers_of_one_issuer(
    cluster: Cluster, issuer: peers.Issuer, workloads: Workloads
) -> None:
    await add_provider(cluster, "first", issuer_url=issuer.url)
    await add_provider(cluster, "second", issuer=issuer.url, jwks_url=issuer.url + peers.JWKS)
    assertion = issuer.token("x", AUDIENCE)
    assert "name one" in await refused(workloads, assertion)
    assert (await workloads.verify(assertion, "second")).provider.metadata.name == "second"


async def test_times(cluster: Cluster, issuer: peers.Issuer, workloads: Workloads) -> None:
    await add_provider(cluster, issuer_url=issuer.url)
    now = int(time.time())
    for claims, problem in (
        ({"exp": now - 61}, "expired"),
        ({"exp": None}, "never expires"),
        ({"exp": "9999999999"}, "no number"),
        ({"nbf": now + 120}, "future"),
        ({"iat": now + 120}, "future"),
        ({"sub": None}, "no subject"),
        ({"sub": ""}, "no subject"),
    ):
        assert problem in await refused(workloads, issuer.token("a", AUDIENCE, **claims))


async def test_algorithms(cluster: Cluster, issuer: peers.Issuer, workloads: Workloads) -> None:
    await add_provider(cluster, issuer_url=issuer.url)
    header, payload, signature = issuer.token("a", AUDIENCE).split(".")

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    for algorithm in ("none", "None", "HS256", "HS512", "PS256", "EdDSA", "ES512", "", None):
        for sealed in ("", signature):
            forged = f"{part({'alg': algorithm, 'kid': issuer.keys[-1].kid})}.{payload}.{sealed}"
            assert await refused(workloads, forged)
    public = issuer.keys[-1].as_pem(private=False)
    confused = jws.serialize_compact(
        {"alg": "HS256", "kid": issuer.keys[-1].kid},
        base64.urlsafe_b64decode(payload + "=="),
        OctKey.import_key(base64.b64encode(public).decode()),
        algorithms=["HS256"],
    )
    assert "algorithm" in await refused(workloads, confused)
    other = issuer.token("b", AUDIENCE).split(".")
    assert "signature" in await refused(workloads, f"{header}.{other[1]}.{signature}")


async def test_huge_ones_are_not_looked_at(
    cluster: Cluster,
    issuer: peers.Issuer,
    workloads: Workloads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add_provider(cluster, issuer_url=issuer.url)
    before = issuer.fetches
    monkeypatch.setattr("octelium.identity.assertions.read", None)
    for huge in ("A" * (64 << 20), issuer.token("a" * LONGEST, AUDIENCE)):
        with pytest.raises(TooLongError, match="longer than"):
            await workloads.verify(huge)
    assert issuer.fetches == before


async def test_an_issuer_that_cannot_be_reached(
    cluster: Cluster, issuer: peers.Issuer, workloads: Workloads
) -> None:
    await add_provider(cluster, issuer_url="https://localhost:1")
    assertion = issuer.token("a", AUDIENCE, iss="https://localhost:1")
    assert "cannot be reached" in await refused(workloads, assertion)


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{0,60}\.[\w-]{0,60}\.[\w-]{0,60}"))
def test_any_text_proves_nothing(text: str) -> None:
    class Nothing:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was used")

    nothing: Any = Nothing()
    workloads = Workloads(Site("example.com"), nothing, nothing, nothing)
    coroutine = workloads.verify(text)
    with pytest.raises(UnauthenticatedError):
        coroutine.send(None)
