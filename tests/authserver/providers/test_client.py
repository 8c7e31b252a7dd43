from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers import client
from octelium.authserver.providers.interface import (
    ProviderDeniedError,
    ProviderUnavailableError,
)

if TYPE_CHECKING:
    from tests.authserver.providers.world import World


def test_the_example_of_rfc_7636() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert client.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert 43 <= len(client.new_verifier()) <= 128
    assert client.new_verifier() != client.new_verifier()


@pytest.mark.parametrize("value", ["pä$$ word", "pä$$ word".encode()])
async def test_secrets(world: World, value: str | bytes) -> None:
    await world.add_secret(value)
    assert client.client_secret(world.cluster.resources, "client") == "pä$$ word"


async def test_secrets_that_are_none(world: World) -> None:
    await world.add_secret(b"\xff\xfe", "bytes")
    for name in ("bytes", "gone", ""):
        with pytest.raises(ProviderUnavailableError, match=f"'{name}'"):
            client.client_secret(world.cluster.resources, name)


def test_queries_stay() -> None:
    assert client.with_parameters("https://a/b", {"c": "d e"}) == "https://a/b?c=d+e"
    assert client.with_parameters("https://a/b?x=y", {"c": "&"}) == "https://a/b?x=y&c=%26"


def test_codes() -> None:
    assert client.code_of({"code": "x"}) == "x"
    with pytest.raises(ProviderDeniedError, match="refuses: access_denied: because"):
        client.code_of({"code": "x", "error": "access_denied", "error_description": "because"})


@given(st.dictionaries(st.sampled_from(["error", "error_description"]), st.text() | st.none()))
def test_refusals_are_one_line_of_the_log(answer: dict[str, str | None]) -> None:
    text = str(client.refused("it", answer))
    assert text.isprintable()
    assert len(text) < 500
