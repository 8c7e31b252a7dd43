"""The example of a GitHub IdentityProvider, and those about e-mail addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.identity_providers.visitor import query_of
from tests.e2e.identity_providers.world import address, filled

if TYPE_CHECKING:
    from tests.e2e.identity_providers.world import World

GITHUB = """
kind: IdentityProvider
metadata:
  name: github
  displayName: GitHub
spec:
  github:
    clientID: <CLIENT_ID>
    clientSecret:
      fromSecret: <SECRET_NAME>
"""
WITHOUT_EMAIL = GITHUB.replace("spec:\n", "spec:\n  disableEmailAsIdentity: true\n")
PERSON = """
---
kind: User
metadata: {name: octo}
spec:
  type: HUMAN
  email: octo@example.com
  authentication:
    identities:
      - {identityProvider: github, identifier: <LOGIN>}
"""


def example(world: World, text: str = GITHUB, secret: str = "github-secret", **more: str) -> str:
    return filled(text, CLIENT_ID=world.github.client_id, SECRET_NAME=secret, **more)


def test_github(world: World) -> None:
    wiki = world.cluster.url("wiki", "/page?a=1")
    # The Secret comes first: without it nothing is applied.
    refused = world.apply(example(world, secret="github-oauth"), check=False)
    assert refused.returncode != 0
    assert "spec.github.clientSecret.fromSecret" in refused.stderr
    assert "github-oauth" in refused.stderr
    assert world.stored("IdentityProvider") == []
    world.octeliumctl("create", "secret", "github-oauth", "--value", world.github.client_secret)
    world.apply(example(world, secret="github-oauth"))
    visitor = world.visitor()
    sent_away = visitor.follow(wiki)
    assert visitor.offers() == ["GitHub"]
    url = visitor.begin("GitHub", sent_away.url.query.decode())
    asked = query_of(url)
    assert url.startswith(f"{world.github.url}/login/oauth/authorize?")
    assert asked["client_id"] == world.github.client_id
    assert asked["redirect_uri"] == world.cluster.url("", "/callback")
    page = visitor.come_back(visitor.go(url, login="ann-at-github"))
    assert (page.status_code, page.text) == (200, "opened")
    info = world.session_of(visitor).status.authentication.info.identity_provider
    assert info.identity_provider_ref.name == "github"
    assert (info.identifier, info.email) == ("ann-at-github", address("ann"))


def test_explicit_identities_come_before_addresses(world: World) -> None:
    """Octo has ann's account at GitHub as an identity; ann has its address as her e-mail."""
    world.apply(example(world))
    by_address = world.visitor()
    by_address.sign_in("GitHub", login="ann-at-github")
    assert world.user_of(by_address) == "ann"
    world.apply(example(world, GITHUB + PERSON, LOGIN="ann-at-github"))
    by_identity = world.visitor()
    by_identity.sign_in("GitHub", login="ann-at-github")
    assert world.user_of(by_identity) == "octo"
    # Those of others do not match, and the address counts for them.
    other = world.visitor()
    other.sign_in("GitHub", login="ben-at-github")
    assert world.user_of(other) == "ben"
    world.delete("User", "octo")


def test_addresses_do_not_count(world: World) -> None:
    world.apply(example(world, WITHOUT_EMAIL + PERSON, LOGIN="ben-at-github"))
    visitor = world.visitor()
    page = visitor.sign_in("GitHub", login="ann-at-github")
    assert "error=refused" in str(page.url)
    assert not visitor.is_signed_in
    visitor.sign_in("GitHub", login="ben-at-github")
    assert world.user_of(visitor) == "octo"
    # What is left out of the file is the default again.
    world.apply(example(world))
    later = world.visitor()
    later.sign_in("GitHub", login="ann-at-github")
    assert world.user_of(later) == "ann"
    world.delete("User", "octo")
