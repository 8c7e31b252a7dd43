"""One person with identities at several IdentityProviders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.identity_providers.world import filled
from tests.peers.saml import PASSWORD

if TYPE_CHECKING:
    from tests.e2e.identity_providers.world import World

EXAMPLES = """
kind: IdentityProvider
metadata: {name: github, displayName: GitHub}
spec:
  github: {clientID: <CLIENT_ID>, clientSecret: {fromSecret: github-secret}}
---
kind: IdentityProvider
metadata: {name: okta-saml-01, displayName: Okta SAML}
spec:
  saml: {metadataURL: <METADATA_URL>}
---
kind: User
metadata: {name: both}
spec:
  type: HUMAN
  authentication:
    identities:
      - {identityProvider: github, identifier: cleo-at-github}
      - {identityProvider: okta-saml-01, identifier: ben@saml.example}
"""


def test_both_lead_to_the_same_user(world: World) -> None:
    text = filled(EXAMPLES, CLIENT_ID=world.github.client_id, METADATA_URL=world.saml.metadata_url)
    world.apply(text)
    assert "Nothing changed" in world.apply(text).stdout
    visitor = world.visitor()
    assert visitor.offers() == ["GitHub", "Okta SAML"]
    visitor.sign_in("GitHub", login="cleo-at-github")
    assert world.user_of(visitor) == "both"
    first = world.session_of(visitor).metadata.uid
    visitor.sign_in_again("Okta SAML", username="ben", password=PASSWORD)
    assert world.user_of(visitor) == "both"
    assert world.session_of(visitor).metadata.uid != first
    # An identity is of one provider: the same text at another one is nobody's.
    moved = text.replace("okta-saml-01, identifier", "github, identifier")
    world.apply(
        moved.replace("      - {identityProvider: github, identifier: cleo-at-github}\n", "")
    )
    page = visitor.sign_in_again("Okta SAML", username="ben", password=PASSWORD)
    assert "error=refused" in str(page.url)
    assert not visitor.is_signed_in
    world.delete("User", "both")
