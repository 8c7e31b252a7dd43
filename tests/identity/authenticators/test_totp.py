from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.authenticators import totp

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_vectors_of_rfc_6238(at: int, expected: str) -> None:
    """Appendix B, SHA-1."""
    assert totp.code(RFC_SECRET, totp.step_at(at), digits=8) == expected
    assert totp.code(RFC_SECRET, totp.step_at(at)) == expected[-6:]
    assert totp.accepted_step(RFC_SECRET, expected[-6:], at, 0) == at // 30


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "755224"),
        (1, "287082"),
        (2, "359152"),
        (3, "969429"),
        (4, "338314"),
        (5, "254676"),
        (6, "287922"),
        (7, "162583"),
        (8, "399871"),
        (9, "520489"),
    ],
)
def test_vectors_of_rfc_4226(count: int, expected: str) -> None:
    """Appendix D."""
    assert totp.code(RFC_SECRET, count) == expected


@given(now=st.integers(10_000, 2**40), offset=st.integers(-4, 4))
def test_one_step_early_or_late_is_accepted(now: int, offset: int) -> None:
    step = totp.step_at(now) + offset
    response = totp.code(RFC_SECRET, step)
    accepted = totp.accepted_step(RFC_SECRET, response, now, 0)
    near = {totp.code(RFC_SECRET, totp.step_at(now) + n) for n in (-1, 0, 1)}
    assert (accepted is not None) == (response in near)


@given(now=st.integers(10_000, 2**40), ahead=st.integers(0, 3))
def test_a_used_step_and_earlier_ones_are_refused(now: int, ahead: int) -> None:
    current = totp.step_at(now)
    accepted = totp.accepted_step(RFC_SECRET, totp.code(RFC_SECRET, current), now, current + ahead)
    assert accepted is None or accepted > current + ahead


@given(response=st.text(max_size=30))
def test_other_texts_are_refused(response: str) -> None:
    shown = {totp.code(RFC_SECRET, step) for step in (1, 2, 3)}
    if response.replace(" ", "") not in shown:
        assert totp.accepted_step(RFC_SECRET, response, 60, 0) is None


def test_groups_and_lengths() -> None:
    code = totp.code(RFC_SECRET, 2)
    assert totp.accepted_step(RFC_SECRET, f"{code[:3]} {code[3:]}", 60, 0) == 2
    assert totp.accepted_step(RFC_SECRET, code + " " * 11, 60, 0) is None
    arabic = code.translate({ord(str(n)): 0x660 + n for n in range(10)})
    assert totp.accepted_step(RFC_SECRET, arabic, 60, 0) is None


def test_the_url_says_everything() -> None:
    secret = totp.new_secret()
    url = totp.url(secret, "Octelium - example.com", "alice/ops&x")
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Octelium - example.com:alice/ops&x"
    assert "+" not in parts.query
    assert parse_qs(parts.query) == {
        "secret": [totp.text_of(secret)],
        "issuer": ["Octelium - example.com"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert len(secret) == 20
    assert totp.new_secret() != secret
