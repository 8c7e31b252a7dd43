from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers.discovery import PATH, Discoveries, Discovery
from octelium.authserver.providers.fetch import FetchError
from tests.authserver.providers import trusting
from tests.peers.https import HttpsServer, Response, https_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER = "https://idp.example.com/realm"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "jwks_uri": "https://idp.example.com/keys",
    "authorization_endpoint": "https://idp.example.com/authorize?x=y",
    "token_endpoint": "https://login.example.net/token",
    "userinfo_endpoint": "https://idp.example.com/me",
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    "authorization_response_iss_parameter_supported": True,
}


@pytest.fixture(name="server")
def server_fixture() -> Iterator[HttpsServer]:
    with https_server() as server:
        yield server


def parse(**changes: Any) -> Discovery:
    document = {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not None}
    return Discovery.parse(document, ISSUER)


def test_a_document() -> None:
    found = parse()
    assert found == Discovery(
        ISSUER,
        "https://idp.example.com/keys",
        "https://idp.example.com/authorize?x=y",
        "https://login.example.net/token",
        "https://idp.example.com/me",
        ("client_secret_post", "private_key_jwt"),
        True,
    )
    bare = parse(
        userinfo_endpoint=None,
        token_endpoint_auth_methods_supported=None,
        authorization_response_iss_parameter_supported="true",
    )
    assert (bare.userinfo_endpoint, bare.token_methods, bare.names_itself) == ("", (), False)


def test_a_slash_at_the_end_of_the_issuer_is_no_difference() -> None:
    assert parse(issuer=ISSUER + "/").issuer == ISSUER + "/"


@pytest.mark.parametrize(
    "issuer", ["https://idp.example.com", ISSUER + "/x", ISSUER.upper(), "", None, 7, [ISSUER]]
)
def test_another_issuer(issuer: Any) -> None:
    with pytest.raises(FetchError, match="another issuer"):
        parse(issuer=issuer)


@pytest.mark.parametrize(
    "name", ["jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint"]
)
@pytest.mark.parametrize(
    "url", ["http://idp.example.com/x", "/x", "javascript:1", "https://a/#b", 7, ["https://a"]]
)
def test_endpoints_are_https_urls(name: str, url: Any) -> None:
    with pytest.raises(FetchError, match=name):
        parse(**{name: url})


def test_keys_are_somewhere() -> None:
    with pytest.raises(FetchError, match="no jwks_uri"):
        parse(jwks_uri=None)


async def test_it_is_fetched_for_several_logins_at_once(server: HttpsServer) -> None:
    document = {"issuer": server.origin, "jwks_uri": server.origin + "/keys"}
    server.routes[PATH] = lambda _: Response.json(document)
    discoveries = Discoveries(trusting.fetcher())
    for url in (server.origin, server.origin + "/"):
        assert (await discoveries.get(url)).jwks_uri == server.origin + "/keys"
    assert server.count(PATH) == 1


@pytest.mark.parametrize(
    "answer", [Response(b"no"), Response.json([]), Response.json({}), Response(status=500)]
)
async def test_no_document(server: HttpsServer, answer: Response) -> None:
    server.routes[PATH] = lambda _: answer
    with pytest.raises(FetchError):
        await Discoveries(trusting.fetcher()).get(server.origin)


_JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text())


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENT)), _JSON))
def test_any_document_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        found = parse(**changes)
    except FetchError:
        return
    assert found.jwks_uri.startswith("https://")
