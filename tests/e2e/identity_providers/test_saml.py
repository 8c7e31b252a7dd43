"""The example of a SAML 2.0 IdentityProvider, with each of its options."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING

from octelium.authserver.providers.xml import SAML, Element, parse, text_of
from tests.e2e.cluster import DOMAIN
from tests.e2e.identity_providers.visitor import query_of
from tests.e2e.identity_providers.world import CUSTOM, address, filled
from tests.peers.saml import EMAIL, PASSWORD

if TYPE_CHECKING:
    from tests.e2e.identity_providers.visitor import Visitor
    from tests.e2e.identity_providers.world import World

REQUIRED = """
kind: IdentityProvider
metadata:
  name: okta-saml-01
  displayName: Okta SAML
spec:
  saml:
    metadataURL: <METADATA_URL>
"""
ENTITY = f"    entityID: urn:{DOMAIN}\n"
ATTRIBUTE = f"    identifierAttribute: {CUSTOM}\n"
FORCED = "    forceAuthn: true\n"
PERSON = """---
kind: User
metadata: {name: saml-ann}
spec: {type: HUMAN, email: ann@saml.example}
"""
ANN = {"username": "ann", "password": PASSWORD}


def apply(world: World, *options: str) -> None:
    world.apply(filled("".join([REQUIRED, *options, PERSON]), METADATA_URL=world.saml.metadata_url))


def request_of(url: str) -> Element:
    """The request for authentication that a browser takes along."""
    packed = base64.b64decode(query_of(url)["SAMLRequest"])
    return parse(zlib.decompress(packed, wbits=-15), largest=10_000, plain=True)


def sign_in(world: World, visitor: Visitor) -> tuple[str, str]:
    """Sign in as ann at the provider; the User, and the identifier."""
    visitor.sign_in("Okta SAML", **ANN)
    info = world.session_of(visitor).status.authentication.info.identity_provider
    return world.user_of(visitor), info.identifier


def test_all_options(world: World) -> None:
    apply(world, ENTITY, ATTRIBUTE, FORCED)
    visitor = world.visitor()
    request = request_of(visitor.begin("Okta SAML"))
    assert text_of(request.find(SAML + "Issuer")) == f"urn:{DOMAIN}"
    assert request.get("AssertionConsumerServiceURL") == world.cluster.url("", "/callback")
    assert request.get("ForceAuthn") == "true"
    # The custom attribute is her usual address, the usual attribute is another one.
    assert sign_in(world, visitor) == ("ann", address("ann"))
    assert visitor.get(world.cluster.url("wiki")).text == "opened"


def test_without_options(world: World) -> None:
    apply(world)
    visitor = world.visitor()
    request = request_of(visitor.begin("Okta SAML"))
    assert text_of(request.find(SAML + "Issuer")) == f"https://{DOMAIN}"
    assert request.get("ForceAuthn") is None
    assert EMAIL == "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
    assert sign_in(world, visitor) == ("saml-ann", "ann@saml.example")


def test_force_authn(world: World) -> None:
    """Who is signed in at the provider is asked again there only if the Cluster wants that."""
    apply(world)
    visitor = world.visitor()
    asked = []
    for options in ((), (), (FORCED,), (FORCED,)):
        apply(world, *options)
        visitor.cookies.clear()  # the Cluster does not know her, the provider does
        landing = visitor.go(visitor.begin("Okta SAML"), **ANN)
        asked.append(landing.asked)
        visitor.come_back(landing)
        assert world.user_of(visitor) == "saml-ann"
    password = frozenset(ANN)
    assert asked == [password, frozenset(), password, password]


def test_another_entity_id_is_another_audience(world: World) -> None:
    """A response to one entity ID is no good once the Cluster has another one."""
    apply(world)
    visitor = world.visitor()
    landing = visitor.go(visitor.begin("Okta SAML"), **ANN)
    apply(world, ENTITY)
    assert "error=" in str(visitor.come_back(landing).url)
    assert not visitor.is_signed_in
