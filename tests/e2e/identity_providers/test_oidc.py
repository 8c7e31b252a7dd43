"""The example of an OpenID Connect IdentityProvider, with each of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.identity_providers.visitor import query_of
from tests.e2e.identity_providers.world import address, filled

if TYPE_CHECKING:
    from tests.e2e.identity_providers.world import World

REQUIRED = """
kind: IdentityProvider
metadata:
  name: okta-oidc-01
  displayName: Okta
spec:
  oidc:
    issuerURL: <ISSUER>
    clientID: <CLIENT_ID>
    clientSecret:
      fromSecret: oidc-secret
"""
IDENTIFIER = "    identifierClaim: custom-identifier\n"
CHECKED = "    checkEmailVerified: true\n"
USER_INFO = "    useUserInfoEndpoint: true\n"
SCOPES = '    scopes: ["scope1", "scope2"]\n'
EMPLOYEES = """---
kind: User
metadata: {name: NAME-by-number}
spec:
  type: HUMAN
  authentication:
    identities: [{identityProvider: okta-oidc-01, identifier: employee-NAME}]
"""
ANN = {"login": "ann", "password": "any"}
DAN = {"login": "dan", "password": "any"}


def apply(world: World, *options: str) -> None:
    people = [EMPLOYEES.replace("NAME", name) for name in ("ann", "dan")]
    text = filled(
        "".join([REQUIRED, *options, *people]),
        ISSUER=world.oidc.issuer,
        CLIENT_ID=world.oidc.client_id,
    )
    world.apply(text)


def test_all_options(world: World) -> None:
    apply(world, IDENTIFIER, CHECKED, USER_INFO, SCOPES)
    visitor = world.visitor()
    assert visitor.offers() == ["Okta"]
    url = visitor.begin("Okta")
    asked = query_of(url)
    assert asked["scope"].split() == ["openid", "scope1", "scope2"]
    assert asked["redirect_uri"] == world.cluster.url("", "/callback")
    visitor.come_back(visitor.go(url, **ANN))
    info = world.session_of(visitor).status.authentication.info.identity_provider
    assert (world.user_of(visitor), info.identifier) == ("ann-by-number", "employee-ann")
    assert visitor.get(world.cluster.url("wiki")).text == "opened"


def test_addresses_must_be_verified(world: World) -> None:
    """Dan's is not; his number does not help him as long as that is checked."""
    apply(world, IDENTIFIER, CHECKED, USER_INFO, SCOPES)
    visitor = world.visitor()
    page = visitor.sign_in("Okta", **DAN)
    assert "error=provider" in str(page.url)
    assert not visitor.is_signed_in
    apply(world, IDENTIFIER, USER_INFO, SCOPES)
    visitor.sign_in("Okta", **DAN)
    assert world.user_of(visitor) == "dan-by-number"


def test_addresses_verified_by_word(world: World) -> None:
    """Some providers write the claim as a text."""
    apply(world, CHECKED)
    visitor = world.visitor()
    visitor.sign_in("Okta", login="cleo", password="any")
    assert world.user_of(visitor) == "cleo"


def test_the_claim_is_only_at_the_user_info_endpoint(world: World) -> None:
    apply(world, IDENTIFIER, CHECKED, SCOPES)
    visitor = world.visitor()
    page = visitor.sign_in("Okta", **ANN)
    assert "error=provider" in str(page.url)
    assert not visitor.is_signed_in


def test_without_options(world: World) -> None:
    """The claim `email` identifies; it is asked for by the scopes."""
    apply(world)
    visitor = world.visitor()
    url = visitor.begin("Okta")
    assert query_of(url)["scope"].split() == ["openid", "profile", "email"]
    visitor.come_back(visitor.go(url, **ANN))
    info = world.session_of(visitor).status.authentication.info.identity_provider
    assert (world.user_of(visitor), info.identifier) == ("ann", address("ann"))


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (SCOPES.replace("scope2", "scope1"), "spec.oidc.scopes[1]"),
        ("    scopes: scope1\n", "spec.oidc.scopes"),
        ("    checkEmailVerified: yes\n", "spec.oidc.checkEmailVerified"),
        ("    issuerURl: https://a.example\n", "spec.oidc.issuerURl"),
    ],
)
def test_mistakes_in_the_options(world: World, line: str, place: str) -> None:
    text = filled(REQUIRED + line, ISSUER=world.oidc.issuer, CLIENT_ID="octelium")
    refused = world.apply(text, check=False)
    assert refused.returncode != 0
    assert place in refused.stderr
    assert world.stored("IdentityProvider") == []
