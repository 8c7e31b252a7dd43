from __future__ import annotations

import base64
import time
import zlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from octelium.authserver.providers.interface import LoginContext, ProviderUnavailableError
from octelium.authserver.providers.saml import EMAIL, Saml, own_metadata
from octelium.authserver.providers.xml import METADATA, SAML, SAMLP, Element, parse, text_of
from octelium.authserver.site import Site
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.providers import trusting
from tests.authserver.providers.world import CALLBACK, STATE, TYPES, World, refusal
from tests.identity.cluster import Clock
from tests.peers import assertions as made
from tests.peers import saml as real
from tests.peers.assertions import Said
from tests.peers.https import HttpsServer, Response, https_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.identity.verified import VerifiedIdentity

USERS = {
    "alice": {EMAIL: ["alice@example.com"], "groups": ["ops", "dev"], "uid": ["al"]},
    "bob": {"uid": ["bob"], EMAIL: ["b@example.com", "bob@example.com"]},
    "eve": {"uid": ['e<v>e & "co"']},
}


@pytest.fixture(name="idp", scope="module")
def idp_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.SamlProvider]:
    folder = tmp_path_factory.mktemp("saml")
    with real.saml_provider(folder, "https://example.com", CALLBACK, USERS) as idp:
        yield idp


@pytest_asyncio.fixture(name="provider")
async def provider_fixture(world: World, idp: real.SamlProvider) -> core.IdentityProvider:
    return await world.add("okta", TYPES.SAML, metadata_url=idp.metadata_url)


async def sign_in(world: World, provider: core.IdentityProvider, name: str) -> VerifiedIdentity:
    return await world.sign_in(provider, username=name, password=real.PASSWORD)


async def walk(
    world: World, provider: core.IdentityProvider, name: str
) -> tuple[LoginContext, dict[str, str], dict[str, str]]:
    login, private, landing = await world.walk(provider, username=name, password=real.PASSWORD)
    assert landing.method == "POST"
    assert landing.parameters["RelayState"] == STATE
    return login, private, landing.parameters


def request_of(url: str) -> Element:
    query = parse_qs(urlsplit(url).query)
    packed = base64.b64decode(query["SAMLRequest"][0])
    return parse(zlib.decompress(packed, wbits=-15), largest=10_000, plain=True)


async def test_a_login(world: World, provider: core.IdentityProvider) -> None:
    verified = await sign_in(world, provider, "alice")
    assert verified.provider == provider
    assert verified.identifier == "alice@example.com"
    assert (verified.email, verified.email_verified) == ("alice@example.com", None)
    assert verified.claims["groups"] == ["ops", "dev"]
    assert "urn:oasis:names:tc:SAML:2.0:ac:classes:Password" in verified.assertion
    assert "SignatureValue" not in verified.assertion


async def test_metadata_that_is_written_down(
    world: World, idp: real.SamlProvider, provider: core.IdentityProvider
) -> None:
    answer = await trusting.fetcher().get(
        idp.metadata_url, configured=idp.metadata_url, limit=1 << 20
    )
    own = await world.add("written", TYPES.SAML, metadata=answer.body.decode())
    assert (await sign_in(world, own, "alice")).identifier == "alice@example.com"
    own.spec.saml.metadata = "<html/>"
    with pytest.raises(ProviderUnavailableError, match="0 identity providers"):
        await world.of(own).begin(LoginContext(own, STATE))


async def test_other_attributes_identify(world: World, provider: core.IdentityProvider) -> None:
    login, private, parameters = await walk(world, provider, "bob")
    told = await refusal(world, login, parameters, private)
    assert told == f"the assertion has 2 values of the attribute '{EMAIL}'"
    provider.spec.saml.identifier_attribute = "uid"
    verified = await sign_in(world, provider, "bob")
    assert (verified.identifier, verified.email) == ("bob", "")
    # What was not chosen to identify her is no address of hers.
    assert (await sign_in(world, provider, "alice")).email == ""
    assert (await sign_in(world, provider, "eve")).identifier == 'e<v>e & "co"'
    provider.spec.saml.identifier_attribute = "missing"
    login, private, parameters = await walk(world, provider, "alice")
    assert "0 values" in await refusal(world, login, parameters, private)


async def test_requests(world: World, provider: core.IdentityProvider) -> None:
    begun = await world.of(provider).begin(LoginContext(provider, STATE))
    request = request_of(begun.url)
    assert request.tag == SAMLP + "AuthnRequest"
    assert request.get("ID") == begun.private["request"]
    assert request.get("AssertionConsumerServiceURL") == CALLBACK
    assert request.get("ForceAuthn") is None
    assert text_of(request.find(SAML + "Issuer")) == "https://example.com"
    assert parse_qs(urlsplit(begun.url).query)["RelayState"] == [STATE]
    provider.spec.saml.force_authn = True
    provider.spec.saml.entity_id = 'urn:a&b"<c>'
    again = await world.of(provider).begin(LoginContext(provider, STATE))
    assert again.private != begun.private
    assert request_of(again.url).get("ForceAuthn") == "true"
    assert text_of(request_of(again.url).find(SAML + "Issuer")) == 'urn:a&b"<c>'


async def test_a_response_belongs_to_one_login(
    world: World, provider: core.IdentityProvider
) -> None:
    login, private, parameters = await walk(world, provider, "alice")
    assert await world.of(provider).finish(login, parameters, private)
    other = dict((await world.of(provider).begin(login)).private)
    assert "another request" in await refusal(world, login, parameters, other)
    assert "without a SAML response" in await refusal(world, login, {"code": "x"}, private)


async def test_a_changed_response(world: World, provider: core.IdentityProvider) -> None:
    login, private, parameters = await walk(world, provider, "alice")
    response = base64.b64decode(parameters["SAMLResponse"])
    assert b"alice@example.com" in response
    for old, new in (
        (b"alice@example.com", b"admin@example.com"),
        (b"alice@example.com", b"alice<!---->@example.com"),
        (b"https://example.com<", b"https://example.org<"),
        (private["request"].encode(), b"_" + b"0" * 40),
    ):
        assert old in response
        changed = base64.b64encode(response.replace(old, new)).decode()
        assert await refusal(world, login, {**parameters, "SAMLResponse": changed}, private)
    assert await world.of(provider).finish(login, parameters, private)


async def test_a_response_of_another_provider(
    world: World, idp: real.SamlProvider, provider: core.IdentityProvider
) -> None:
    """Another provider's key is worth nothing here, whatever its response says."""
    login, private, _ = await walk(world, provider, "alice")
    said = Said(idp.entity_id, "https://example.com", CALLBACK, private["request"])
    forged = made.posted(made.signed(said, real.RsaPair.make()))
    told = await refusal(world, login, {"SAMLResponse": forged}, private)
    assert "Signature validation failed" in told
    own = made.posted(made.signed(said, idp.signer))
    assert await world.of(provider).finish(login, {"SAMLResponse": own}, private)


async def test_a_response_for_another_entity(world: World, provider: core.IdentityProvider) -> None:
    login, private, parameters = await walk(world, provider, "alice")
    login.provider.spec.saml.entity_id = "urn:other"
    assert "another audience" in await refusal(world, login, parameters, private)


async def test_time_goes_by(idp: real.SamlProvider, provider: core.IdentityProvider) -> None:
    clock = Clock(time.time())
    saml = Saml(Site("example.com"), trusting.fetcher(), clock=clock)
    login = LoginContext(provider, STATE)
    begun = await saml.begin(login)
    said = Said(idp.entity_id, "https://example.com", CALLBACK, begun.private["request"])
    parameters = {"SAMLResponse": made.posted(made.signed(said, idp.signer))}
    assert await saml.finish(login, parameters, begun.private)
    clock.now = time.time() + 361
    with pytest.raises(Exception, match="has expired"):
        await saml.finish(login, parameters, begun.private)


@pytest.fixture(name="server")
def server_fixture() -> Iterator[HttpsServer]:
    with https_server() as server:
        yield server


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Response(status=404), "404"),
        (Response(b"<html>"), "no well-formed XML"),
        (Response(b"<!DOCTYPE a><a/>"), "declares a type"),
        (Response(b"<a>" + b" " * (2 << 20)), "more than"),
        (Response.redirect("https://example.com/"), "another origin"),
    ],
)
async def test_metadata_that_cannot_be_had(
    world: World, server: HttpsServer, answer: Response, why: str
) -> None:
    server.routes["/meta"] = lambda _: answer
    provider = await world.add("bad", TYPES.SAML, metadata_url=server.origin + "/meta")
    with pytest.raises(ProviderUnavailableError, match=why):
        await world.of(provider).begin(LoginContext(provider, STATE))


@pytest.mark.parametrize(
    ("entity_id", "expected"), [("", "https://example.com"), ("urn:x", "urn:x")]
)
def test_own_metadata(entity_id: str, expected: str) -> None:
    spec = core.IdentityProviderSpecSaml(entity_id=entity_id)
    root = parse(own_metadata(Site("example.com", 8443), spec), largest=10_000)
    assert root.get("entityID") == expected
    (service,) = root.iter(METADATA + "AssertionConsumerService")
    assert service.get("Location") == "https://example.com:8443/callback"
