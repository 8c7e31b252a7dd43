"""The example of a disabled IdentityProvider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.e2e.identity_providers.world import filled

if TYPE_CHECKING:
    from tests.e2e.identity_providers.world import World

EXAMPLE = """
kind: IdentityProvider
metadata:
  name: oidc
spec:
  isDisabled: true
  oidc:
    issuerURL: <ISSUER>
    clientID: <CLIENT_ID>
    clientSecret: {fromSecret: oidc-secret}
"""
ISSUER = """
kind: IdentityProvider
metadata: {name: actions}
spec:
  isDisabled: DISABLED
  oidcIdentityToken: {issuerURL: <ISSUER>}
---
kind: User
metadata: {name: builder}
spec:
  type: WORKLOAD
  authentication: {identities: [{identityProvider: actions, identifier: builder}]}
"""
ANN = {"login": "ann", "password": "any"}


def apply(world: World, *, disabled: bool) -> None:
    text = EXAMPLE if disabled else EXAMPLE.replace("  isDisabled: true\n", "")
    world.apply(filled(text, ISSUER=world.oidc.issuer, CLIENT_ID=world.oidc.client_id))


def test_nobody_sees_it_or_logs_in_with_it(world: World) -> None:
    apply(world, disabled=False)
    visitor, at_provider, back = world.visitor(), world.visitor(), world.visitor()
    assert visitor.offers() == ["oidc"]
    fields = visitor.fields("oidc")
    # One is about to press the button, one is at the provider, one is on the way back.
    url = at_provider.begin("oidc")
    landing = back.go(back.begin("oidc"), **ANN)
    apply(world, disabled=True)
    assert visitor.offers() == []
    for page in (
        visitor.press(fields),
        str(at_provider.come_back(at_provider.go(url, **ANN)).url),
        str(back.come_back(landing).url),
    ):
        assert page.endswith("/login?error=unavailable")
    for each in (visitor, at_provider, back):
        assert "octelium_rt" not in each.cookies
    # What has ended does not go on when it is enabled again; a new login does.
    apply(world, disabled=False)
    assert "error=expired" in str(back.come_back(landing).url)
    back.sign_in("oidc", **ANN)
    assert world.user_of(back) == "ann"


def test_sessions_are_not_authenticated_again(world: World) -> None:
    """A Session of before goes on, and ends when it would have to go to the provider again."""
    apply(world, disabled=False)
    visitor = world.visitor()
    visitor.sign_in("oidc", **ANN)
    uid = world.session_of(visitor).metadata.uid
    wiki = world.cluster.url("wiki")
    # An enabled provider is asked again as soon as the browser lacks its access token.
    token = visitor.cookies.pop("octelium_auth")
    asked = visitor.get(world.cluster.url("", "/login"))
    assert asked.headers["location"].startswith(world.oidc.issuer)
    visitor.cookies["octelium_auth"] = token
    apply(world, disabled=True)
    assert visitor.get(wiki).text == "opened"
    del visitor.cookies["octelium_auth"]
    page = visitor.follow(world.cluster.url("", "/login"))
    assert page.status_code == 200
    assert "octelium_rt" not in visitor.cookies
    assert uid not in {session.metadata.uid for session in world.stored("Session")}
    assert visitor.offers() == []
    # The access token, wherever it has been copied to, is of no use either.
    visitor.cookies["octelium_auth"] = token
    assert visitor.get(wiki).status_code != 200


def test_an_authentication_again_that_is_under_way(world: World) -> None:
    apply(world, disabled=False)
    visitor = world.visitor()
    visitor.sign_in("oidc", **ANN)
    before = world.session_of(visitor).status.total_authentications
    token = visitor.cookies.pop("octelium_auth")
    landing = visitor.go(visitor.get(world.cluster.url("", "/login")).headers["location"])
    apply(world, disabled=True)
    assert "error=unavailable" in str(visitor.come_back(landing).url)
    visitor.cookies["octelium_auth"] = token
    assert world.session_of(visitor).status.total_authentications == before


def test_workloads_are_refused(world: World) -> None:
    """And let in again afterwards, by the same assertion."""
    assertion = world.issuer.token("builder", "https://octelium.localhost")
    for disabled in (False, True, False):
        world.apply(
            filled(ISSUER.replace("DISABLED", str(disabled).lower()), ISSUER=world.issuer.url)
        )
        for named in ("", "actions"):
            if not disabled:
                assert world.authenticate(assertion, named).access_token
                continue
            with pytest.raises(grpc.RpcError) as caught:
                world.authenticate(assertion, named)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
