from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from octelium.authserver.providers.github import GitHub
from octelium.authserver.providers.interface import LoginContext, ProviderUnavailableError
from octelium.authserver.site import Site
from tests.authserver.providers import trusting
from tests.authserver.providers.world import CALLBACK, STATE, TYPES, World, refusal
from tests.peers import github as peers
from tests.peers.https import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.schema.pb import core_v1_pb2 as core
    from tests.identity.cluster import Cluster

PRIMARY = {"email": "octo@example.com", "primary": True, "verified": True, "visibility": None}
OTHER = {"email": "cat@example.com", "primary": False, "verified": True, "visibility": None}


@pytest.fixture(name="github")
def github_fixture() -> Iterator[peers.GitHub]:
    with peers.github(CALLBACK) as github:
        yield github


@pytest_asyncio.fixture(name="world")
async def world_fixture(cluster: Cluster, github: peers.GitHub) -> World:
    world = World(cluster, github_url=github.url)
    await world.add_secret(github.client_secret)
    return world


@pytest_asyncio.fixture(name="provider")
async def provider_fixture(world: World, github: peers.GitHub) -> core.IdentityProvider:
    return await world.add("github", TYPES.GITHUB, client_id=github.client_id)


async def test_a_login(world: World, github: peers.GitHub, provider: core.IdentityProvider) -> None:
    github.add("octocat", OTHER, PRIMARY, name="Octo", two_factor_authentication=True)
    verified = await world.sign_in(provider, login="octocat")
    assert verified.provider == provider
    assert verified.identifier == "octocat"
    assert (verified.email, verified.email_verified) == ("octo@example.com", True)
    assert verified.picture_url.startswith("https://avatars.example/")
    assert verified.claims["two_factor_authentication"] is True


async def test_the_url_of_a_login(world: World, provider: core.IdentityProvider) -> None:
    begun = await world.of(provider).begin(LoginContext(provider, STATE))
    query = {name: value for name, (value,) in parse_qs(urlsplit(begun.url).query).items()}
    assert query["scope"] == "user:email"
    assert query["state"] == STATE
    assert query["redirect_uri"] == CALLBACK
    assert query["code_challenge_method"] == "S256"
    assert begun.private["verifier"] not in begun.url
    assert begun.private["verifier"] not in repr(begun)
    again = await world.of(provider).begin(LoginContext(provider, STATE))
    assert again.private != begun.private


async def test_github_itself(world: World, provider: core.IdentityProvider) -> None:
    real = GitHub(Site("example.com", 8443), world.cluster.resources, trusting.fetcher())
    url = urlsplit((await real.begin(LoginContext(provider, STATE))).url)
    assert (url.scheme, url.netloc, url.path) == ("https", "github.com", "/login/oauth/authorize")
    assert parse_qs(url.query)["redirect_uri"] == ["https://example.com:8443/callback"]


@pytest.mark.parametrize(
    ("emails", "expected"),
    [
        ([PRIMARY | {"verified": False}, OTHER], "cat@example.com"),
        ([PRIMARY | {"verified": False}], ""),
        ([PRIMARY | {"verified": "true"}], ""),
        ([{"email": "x@example.com"}], ""),
        ([], ""),
        (["x@example.com", None, PRIMARY], "octo@example.com"),
        ([PRIMARY | {"email": 7}], ""),
    ],
)
async def test_only_verified_addresses_count(
    world: World,
    github: peers.GitHub,
    provider: core.IdentityProvider,
    emails: list[Any],
    expected: str,
) -> None:
    github.add("octocat", *emails)
    verified = await world.sign_in(provider, login="octocat")
    assert (verified.email, verified.email_verified) == (expected, True if expected else None)


async def test_a_person_who_refuses(world: World, provider: core.IdentityProvider) -> None:
    login, private, landing = await world.walk(provider, login="nobody")
    assert "access_denied: The user has denied" in await refusal(
        world, login, landing.parameters, private
    )


async def test_codes_are_for_one_use_and_one_browser(
    world: World, github: peers.GitHub, provider: core.IdentityProvider
) -> None:
    github.add("octocat", PRIMARY)
    login, private, landing = await world.walk(provider, login="octocat")
    assert await world.of(provider).finish(login, landing.parameters, private)
    assert "bad_verification_code" in await refusal(world, login, landing.parameters, private)
    _, own, _ = await world.walk(provider, login="octocat")
    _, _, stolen = await world.walk(provider, login="octocat")
    assert "bad_verification_code" in await refusal(world, login, stolen.parameters, own)
    for parameters in ({}, {"code": ""}, {"code": "x" * 5000}, {"state": STATE}):
        assert "without a code" in await refusal(world, login, parameters, private)


async def test_a_wrong_secret(
    world: World, github: peers.GitHub, provider: core.IdentityProvider
) -> None:
    github.add("octocat", PRIMARY)
    github.client_secret = "another"
    login, private, landing = await world.walk(provider, login="octocat")
    told = await refusal(world, login, landing.parameters, private)
    assert "incorrect_client_credentials" in told


@pytest.mark.parametrize(
    ("path", "answer", "problem"),
    [
        ("/login/oauth/access_token", Response.json({"access_token": "x"}), "no usable access"),
        ("/login/oauth/access_token", Response.json({"token_type": "bearer"}), "no usable access"),
        (
            "/login/oauth/access_token",
            Response.json({"token_type": "bearer", "access_token": "a\r\nX: y"}),
            "no usable access",
        ),
        ("/login/oauth/access_token", Response(b"access_token=x"), "no JSON object"),
        ("/login/oauth/access_token", Response.redirect("https://example.com/"), "redirects"),
        ("/api/v3/user", Response.json({"id": 7}), "no login name"),
        ("/api/v3/user", Response.json({"login": 7}), "no login name"),
        ("/api/v3/user", Response.json({}, 401), "refuses the access token"),
        ("/api/v3/user", Response.json({}, 500), "answers 500"),
        ("/api/v3/user/emails", Response.json({"message": "no"}, 403), "refuses the access"),
        ("/api/v3/user/emails", Response.json({}), "no JSON array"),
        ("/api/v3/user/emails", Response(b"x" * (300 << 10)), "more than"),
    ],
)
async def test_answers_that_are_none(
    world: World,
    github: peers.GitHub,
    provider: core.IdentityProvider,
    path: str,
    answer: Response,
    problem: str,
) -> None:
    github.add("octocat", PRIMARY)
    login, private, landing = await world.walk(provider, login="octocat")
    github.server.routes[path] = lambda _: answer
    told = await refusal(world, login, landing.parameters, private)
    assert problem in told
    assert landing.parameters["code"] not in told
    assert github.client_secret not in told


async def test_a_secret_that_is_gone(world: World, provider: core.IdentityProvider) -> None:
    provider.spec.github.client_secret.from_secret = "gone"
    login = LoginContext(provider, STATE)
    with pytest.raises(ProviderUnavailableError, match="'gone' of the client does not exist"):
        await world.of(provider).finish(login, {"code": "x"}, {"verifier": "v"})
