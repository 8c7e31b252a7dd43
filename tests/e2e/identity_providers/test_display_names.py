"""The example of a public display name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.identity_providers.world import filled

if TYPE_CHECKING:
    from tests.e2e.identity_providers.world import World

EXAMPLE = """
kind: IdentityProvider
metadata:
  name: okta-oidc
  displayName: Okta OIDC
spec:
  displayName: Login with Okta
  oidc:
    issuerURL: <ISSUER>
    clientID: <CLIENT_ID>
    clientSecret: {fromSecret: oidc-secret}
"""


def test_the_button(world: World) -> None:
    example = filled(EXAMPLE, ISSUER=world.oidc.issuer, CLIENT_ID=world.oidc.client_id)
    visitor = world.visitor()
    assert visitor.offers() == []
    for left_out, shown in (
        ("", "Login with Okta"),
        ("  displayName: Login with Okta\n", "Okta OIDC"),
        ("  displayName: Okta OIDC\n", "okta-oidc"),
    ):
        example = example.replace(left_out, "")
        world.apply(example)
        assert visitor.offers() == [shown]
        says = "" if shown == "Login with Okta" else "Continue with "
        assert f">{says}{shown}</button>" in visitor.get(world.cluster.url("", "/login")).text
    visitor.sign_in("okta-oidc", login="ann", password="any")
    assert world.user_of(visitor) == "ann"
