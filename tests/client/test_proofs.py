from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.errors import ApiError, SettingsError
from octelium.client.proofs import AuthenticationToken, environment_proof
from tests.client.exchanged import TOKENS, Recorded
from tests.client.standin import ASSERTION

if TYPE_CHECKING:
    from pathlib import Path


def test_an_authentication_token() -> None:
    exchange = Recorded()
    assert AuthenticationToken("T").tokens(exchange, ["api:*"]) == TOKENS
    assert exchange.asked == [("authenticate", "T", ("api:*",), b"")]
    assert "T'" not in repr(AuthenticationToken("T"))


def test_a_token_that_is_refused_is_explained() -> None:
    with pytest.raises(ApiError, match="not valid here") as caught:
        AuthenticationToken("T").tokens(Recorded("UNAUTHENTICATED"), [])
    assert "--rotate" in caught.value.remedy
    with pytest.raises(ApiError, match="ResourceExhausted"):
        AuthenticationToken("T").tokens(Recorded("RESOURCE_EXHAUSTED"), [])


def test_the_environment_gives_one_proof(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(ASSERTION + "\n")
    whole = {
        "OCTELIUM_AUTH_TOKEN": "T",
        "OCTELIUM_AUTH_ASSERTION": "corp:jwt:env=MINE",
        "MINE": "a.b.mine",
        "OCTELIUM_ASSERTION": "a.b.own",
        "OCTELIUM_ASSERTION_FILE": str(file),
    }
    expected: list[tuple[object, ...]] = [
        ("authenticate", "T", (), b""),
        ("vouch", "a.b.mine", "corp", ()),
        ("vouch", "a.b.own", "", ()),
        ("vouch", ASSERTION, "", ()),
    ]
    names = [name for name in whole if name.startswith("OCTELIUM")]
    for name, asked in zip(names, expected, strict=True):
        exchange = Recorded()
        proof = environment_proof(whole, "lab.test")
        assert proof is not None
        proof.tokens(exchange, [])
        assert exchange.asked == [asked]
        del whole[name]
    assert environment_proof(whole, "lab.test") is None


def test_an_environment_that_makes_no_sense() -> None:
    with pytest.raises(SettingsError, match="no known type"):
        environment_proof({"OCTELIUM_AUTH_ASSERTION": "sorcery"}, "lab.test")
