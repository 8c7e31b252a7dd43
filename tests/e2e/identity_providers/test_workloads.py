"""The examples of IdentityProviders for workloads: three ways to get an issuer's keys."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import grpc
import pytest

from octelium.schema.pb import user_v1_pb2 as user
from tests.e2e.identity_providers.world import address, filled
from tests.peers import issuer as issuers
from tests.peers.issuer import DISCOVERY, JWKS

if TYPE_CHECKING:
    from tests.e2e.identity_providers.world import World

PUBLIC_ISSUER = """
kind: IdentityProvider
metadata:
  name: github-actions-01
spec:
  oidcIdentityToken:
    issuerURL: <ISSUER>
    audience: https://example.com
"""
JWKS_URL = """
kind: IdentityProvider
metadata:
  name: github-actions-01
spec:
  oidcIdentityToken:
    jwksURL: <JWKS_URL>
    issuer: <ISSUER>
    audience: https://example.com
"""
JWKS_CONTENT = """
kind: IdentityProvider
metadata:
  name: k8s-01
spec:
  oidcIdentityToken:
    jwksContent: |
<KEYS>
    issuer: https://kubernetes.default.svc.cluster.local
    audience: https://kubernetes.default.svc.cluster.local
"""
WORKLOAD = """
---
kind: User
metadata: {name: deployer}
spec:
  type: WORKLOAD
  authentication:
    identities: [{identityProvider: <PROVIDER>, identifier: "repo:example/app"}]
"""
AUDIENCE = "https://example.com"
CLUSTER_ISSUER = "https://kubernetes.default.svc.cluster.local"
SUBJECT = "repo:example/app"


def assert_admitted(world: World, assertion: str, provider: str = "") -> None:
    """The workload is let in, and opens a Service."""
    client = world.authenticate(assertion, provider)
    status = client.user("GetStatus", user.GetStatusRequest())
    assert status.user.metadata.name == "deployer"
    with world.cluster.http() as http:
        page = http.get(
            world.cluster.url("wiki"), headers={"Authorization": f"Bearer {client.access_token}"}
        )
    assert (page.status_code, page.text) == (200, "opened")


def assert_refused(world: World, assertion: str, provider: str = "") -> None:
    before = {session.metadata.uid for session in world.stored("Session")}
    with pytest.raises(grpc.RpcError) as caught:
        world.authenticate(assertion, provider)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert {session.metadata.uid for session in world.stored("Session")} == before


def assert_strict(world: World) -> None:
    """Whatever is not said of this workload, to this Cluster, by this issuer, is refused."""
    token = world.issuer.token
    assert_admitted(world, token(SUBJECT, AUDIENCE))
    assert_admitted(world, token(SUBJECT, AUDIENCE), "github-actions-01")
    assert_refused(world, token(SUBJECT, "https://octelium.localhost"))
    assert_refused(world, token("repo:example/other", AUDIENCE))
    assert_refused(world, token(address("ann"), AUDIENCE, email=address("ann")))
    assert_refused(world, token(SUBJECT, AUDIENCE, iss="https://other.example"))
    assert_refused(
        world, token(SUBJECT, AUDIENCE, iss="https://other.example"), "github-actions-01"
    )
    assert_refused(world, token(SUBJECT, AUDIENCE, exp=1_700_000_000))


def test_public_issuer(world: World) -> None:
    world.apply(
        filled(PUBLIC_ISSUER + WORKLOAD, ISSUER=world.issuer.url, PROVIDER="github-actions-01")
    )
    assert_strict(world)
    assert world.issuer.server.count(DISCOVERY) > 0
    # Workloads do not sign in with browsers.
    assert world.visitor().offers() == []


def test_jwks_url(world: World) -> None:
    keys = world.issuer.url + JWKS
    provider = "github-actions-01"
    text = filled(JWKS_URL + WORKLOAD, ISSUER=world.issuer.url, JWKS_URL=keys, PROVIDER=provider)
    # The issuer has to be named.
    without = "".join(line for line in text.splitlines(True) if "issuer:" not in line)
    refused = world.apply(without, check=False)
    assert refused.returncode != 0
    assert "spec.oidcIdentityToken.issuer" in refused.stderr
    assert world.stored("IdentityProvider") == []
    world.apply(text)
    documents = world.issuer.server.count(DISCOVERY)
    assert_strict(world)
    assert world.issuer.server.count(DISCOVERY) == documents


def test_jwks_content(world: World) -> None:
    with issuers.issuer() as kubernetes:
        jwks_content(world, kubernetes)
        assert kubernetes.server.requests == []  # nobody can ask it


def jwks_content(world: World, kubernetes: issuers.Issuer) -> None:
    def keys() -> str:
        return textwrap.indent(json.dumps(kubernetes.jwks, indent=2), " " * 6)

    def token(subject: str, **claims: str) -> str:
        said = {"iss": CLUSTER_ISSUER, **claims}
        return kubernetes.token(subject, said.pop("aud", CLUSTER_ISSUER), **said)

    text = filled(JWKS_CONTENT + WORKLOAD, KEYS=keys(), PROVIDER="k8s-01")
    refused = world.apply(text.replace(f"    issuer: {CLUSTER_ISSUER}\n", ""), check=False)
    assert refused.returncode != 0
    assert "spec.oidcIdentityToken.issuer" in refused.stderr
    world.apply(text)
    assert_admitted(world, token(SUBJECT))
    assert_admitted(world, token(SUBJECT), "k8s-01")
    assert_refused(world, token(SUBJECT, aud=AUDIENCE))
    assert_refused(world, token(SUBJECT, iss=kubernetes.url))
    assert_refused(world, token(SUBJECT, iss=kubernetes.url), "k8s-01")
    old, published = token(SUBJECT), keys()
    kubernetes.rotate()
    # The keys are those of the file until another one is applied.
    assert_refused(world, token(SUBJECT))
    assert_admitted(world, old)
    world.apply(text.replace(published, keys()))
    assert_admitted(world, token(SUBJECT))
    assert_refused(world, old)
