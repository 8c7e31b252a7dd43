from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.authserver.keys_of_issuers import KEEP, LIFETIME, PAUSE, KeysOfIssuers, KeySource
from octelium.authserver.providers.discovery import Discoveries
from octelium.authserver.providers.fetch import FetchError
from octelium.identity.assertions import Expected, UnknownKeyError, UnprovenError, read
from tests.authserver.providers import trusting
from tests.identity.cluster import Clock
from tests.peers import issuer as peers
from tests.peers.https import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AUDIENCE = "https://example.com"


@pytest.fixture(name="issuer")
def issuer_fixture() -> Iterator[peers.Issuer]:
    with peers.issuer() as issuer:
        yield issuer


class Verifying:
    """A KeysOfIssuers over one issuer, with a timer of its own."""

    def __init__(self, issuer: peers.Issuer) -> None:
        self.issuer = issuer
        self.timer = Clock(1000)
        fetcher = trusting.fetcher()
        self.keys = KeysOfIssuers(fetcher, Discoveries(fetcher), timer=self.timer)
        self.source = KeySource(issuer_url=issuer.url)

    async def __call__(self, token: str, source: KeySource | None = None) -> Mapping[str, Any]:
        expected = Expected(self.issuer.url, AUDIENCE)
        return await self.keys.verify(read(token), source or self.source, expected)


@pytest.fixture(name="verify")
def verify_fixture(issuer: peers.Issuer) -> Verifying:
    return Verifying(issuer)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384"])
async def test_the_three_places_of_keys(
    issuer: peers.Issuer, verify: Verifying, algorithm: str
) -> None:
    issuer.rotate(algorithm)
    token = issuer.token("repo:a/b", AUDIENCE, algorithm=algorithm)
    for source in (
        KeySource(issuer_url=issuer.url),
        KeySource(issuer_url=issuer.url + "/"),
        KeySource(jwks_url=issuer.url + peers.JWKS),
        KeySource(content=json.dumps(issuer.jwks)),
    ):
        assert (await verify(token, source))["sub"] == "repo:a/b"
    assert issuer.fetches == 3


async def test_keys_are_fetched_once(issuer: peers.Issuer, verify: Verifying) -> None:
    tokens = [issuer.token(f"job-{number}", AUDIENCE) for number in range(20)]
    found = await asyncio.gather(*map(verify, tokens))
    assert [claims["sub"] for claims in found] == [f"job-{number}" for number in range(20)]
    assert issuer.fetches == 1


async def test_new_keys_are_found_after_a_pause(issuer: peers.Issuer, verify: Verifying) -> None:
    old = issuer.token("job", AUDIENCE)
    await verify(old)
    issuer.rotate()
    verify.timer.now += PAUSE - 1
    new = issuer.token("job", AUDIENCE)
    with pytest.raises(UnknownKeyError):
        await verify(new)
    assert issuer.fetches == 1
    verify.timer.now += 1
    assert await verify(new)
    assert issuer.fetches == 2
    with pytest.raises(UnknownKeyError):  # it was withdrawn
        await verify(old)


async def test_a_flood_of_unknown_keys_fetches_once_a_minute(
    issuer: peers.Issuer, verify: Verifying
) -> None:
    good = issuer.token("job", AUDIENCE)
    await verify(good)
    forger = peers.Issuer(issuer.server)  # takes the routes over; its keys are unknown
    forged = []
    for _ in range(100):
        forger.rotate()
        forged.append(forger.token("job", AUDIENCE))
    issuer.server.routes[peers.JWKS] = lambda _: Response.json(issuer.jwks)
    began = issuer.fetches
    for minute in range(3):
        verify.timer.now += PAUSE
        results = await asyncio.gather(*map(verify, forged), return_exceptions=True)
        assert all(isinstance(result, UnknownKeyError) for result in results)
        assert issuer.fetches == began + minute + 1
        assert await verify(good)


async def test_withdrawn_keys_are_forgotten_in_time(
    issuer: peers.Issuer, verify: Verifying
) -> None:
    token = issuer.token("job", AUDIENCE)
    await verify(token)
    issuer.rotate()
    verify.timer.now += LIFETIME
    with pytest.raises(UnknownKeyError):
        await verify(token)


async def test_keys_outlive_an_issuers_failure_for_a_while(
    issuer: peers.Issuer, verify: Verifying
) -> None:
    token = issuer.token("job", AUDIENCE)
    await verify(token)
    issuer.server.routes[peers.JWKS] = lambda _: Response(status=503)
    for _ in range(5):
        verify.timer.now += (KEEP - 1) / 5
        assert await verify(token)
    verify.timer.now += 1
    with pytest.raises(FetchError, match="503"):
        await verify(token)


async def test_an_issuer_that_fails_is_not_asked_again_at_once(
    issuer: peers.Issuer, verify: Verifying
) -> None:
    issuer.server.routes[peers.JWKS] = lambda _: Response(b'{"keys": []}')
    token = issuer.token("job", AUDIENCE)
    for _ in range(10):
        with pytest.raises(FetchError, match="no key"):
            await verify(token)
    assert issuer.fetches == 1


async def test_a_token_that_names_no_key(issuer: peers.Issuer, verify: Verifying) -> None:
    """It may be by any of them, so also by one that is not known yet."""
    await verify(issuer.token("job", AUDIENCE))
    issuer.rotate()
    bare = _without_kid(issuer)
    with pytest.raises(UnprovenError):
        await verify(bare)
    verify.timer.now += PAUSE
    assert await verify(bare)


def _without_kid(issuer: peers.Issuer) -> str:
    from joserfc import jwt

    now = int(time.time())
    claims = {"iss": issuer.url, "sub": "job", "aud": AUDIENCE, "exp": now + 60}
    return jwt.encode({"alg": "ES256"}, claims, issuer.keys[-1], algorithms=["ES256"])


async def test_keys_on_another_machine_are_not_sought_on_this_one(
    issuer: peers.Issuer, verify: Verifying
) -> None:
    source = KeySource(issuer_url="https://idp.example.com", jwks_url=issuer.url + peers.JWKS)
    with pytest.raises(FetchError, match="is this machine"):
        await verify(issuer.token("job", AUDIENCE), source)
    assert issuer.fetches == 0


async def test_content_that_is_no_key_set(issuer: peers.Issuer, verify: Verifying) -> None:
    with pytest.raises(FetchError, match="jwksContent"):
        await verify(issuer.token("job", AUDIENCE), KeySource(content='{"keys": 1}'))
