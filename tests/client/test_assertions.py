from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client import assertions
from octelium.client.assertions import assertion_in, assertion_of
from octelium.client.errors import ApiError, SettingsError
from tests.client.exchanged import TOKENS, Recorded
from tests.client.standin import ASSERTION

if TYPE_CHECKING:
    from pathlib import Path

D = "lab.test"
WORDS = st.sampled_from(["jwt", "k8s", "azure", "idp", ":", ",", "=", "env", "file", "audience"])


def asked(text: str, environ: dict[str, str] | None = None) -> tuple[object, ...]:
    exchange = Recorded()
    assert assertion_of(text, environ or {}, D).tokens(exchange, ["api:*"]) == TOKENS
    return exchange.asked[0]


def test_tokens_in_the_environment_and_in_files(tmp_path: Path) -> None:
    file = tmp_path / "a:b"
    file.write_text(f"{ASSERTION}\n")
    expected = ("vouch", ASSERTION, "", ("api:*",))
    assert asked("jwt:env=MINE", {"MINE": ASSERTION}) == expected
    assert asked(f"jwt:file={file}") == expected
    assert asked(f"corp:jwt:file={file}") == ("vouch", ASSERTION, "corp", ("api:*",))
    assert asked(f"jwt:jwt:file={file}") == ("vouch", ASSERTION, "jwt", ("api:*",))


@pytest.mark.parametrize("kind", ["k8s", "kubernetes"])
def test_a_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    file = tmp_path / "token"
    file.write_text(ASSERTION)
    monkeypatch.setattr(assertions, "KUBERNETES_FILE", str(file))
    assert asked(f"cluster-1:{kind}") == ("vouch", ASSERTION, "cluster-1", ("api:*",))


def test_a_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    proof, exchange = assertion_in(str(file)), Recorded()
    for text in ("a.b.1", "a.b.2"):
        file.write_text(text)
        proof.tokens(exchange, [])
    assert [each[1] for each in exchange.asked] == ["a.b.1", "a.b.2"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no known type"),
        ("corp", "no known type"),
        ("corp:corp:jwt:env=A", "no known type"),
        (":jwt:env=A", "names no IdentityProvider"),
        ("jwt", "does not say where"),
        ("jwt:env=A,file=B", "does not say where"),
        ("jwt:env=", "'env=' is wrong"),
        ("jwt:url=x", "'url=x' is wrong"),
        ("jwt:env=A,env=B", "'env=B' is wrong"),
        ("k8s:file=x", "'file=x' is wrong"),
        ("azure:audience", "'audience' is wrong"),
    ],
)
def test_what_makes_no_sense(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        assertion_of(text, {}, D)
    assert caught.value.remedy


@given(st.lists(WORDS | st.text(max_size=3), max_size=8).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        made = assertion_of(text, {}, D)
    except SettingsError:
        return
    assert made.provider == "" or text.startswith(f"{made.provider}:")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (" \n", "is empty"),
        ("a.b", "is no signed JWT"),
        ("a.b.\x1bc", "is no signed JWT"),
        ("ä.b.c", "is no signed JWT"),
        ("a.b." + "c" * 5000, "is longer than 5000"),
    ],
)
def test_what_is_no_assertion_is_not_sent(value: str, problem: str) -> None:
    exchange = Recorded()
    with pytest.raises(SettingsError, match=problem):
        assertion_of("jwt:env=A", {"A": value}, D).tokens(exchange, [])
    assert exchange.asked == []


def test_a_source_that_has_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no assertion in A"):
        asked("jwt:env=A")
    with pytest.raises(SettingsError, match="No such file"):
        asked(f"jwt:file={tmp_path / 'none'}")


def test_a_refusal_is_explained() -> None:
    with pytest.raises(ApiError, match="does not accept this assertion") as caught:
        assertion_of("jwt:env=A", {"A": ASSERTION}, D).tokens(Recorded("UNAUTHENTICATED"), [])
    assert "audience" in caught.value.remedy
    with pytest.raises(ApiError, match="PermissionDenied: no"):
        assertion_of("jwt:env=A", {"A": ASSERTION}, D).tokens(Recorded("PERMISSION_DENIED"), [])
