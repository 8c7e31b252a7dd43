from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.invocation import Invocation
from octelium.cli.lengths import Instant, Length, parse_length


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2hours", 7200),
        ("2 Hours", 7200),
        ("30days", 30 * 86400),
        ("1week", 7 * 86400),
        ("3months", 90 * 86400),
        ("1h30m", 5400),
        ("1year", 365 * 86400),
    ],
)
def test_lengths(text: str, seconds: int) -> None:
    assert parse_length(text) == seconds
    assert Length().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "0s", "-1h", "1x", "1h 5", "999999999y", "\u0663s"])
def test_what_is_no_length(text: str) -> None:
    assert parse_length(text) is None
    with pytest.raises(click.BadParameter, match="not a length"):
        Length().convert(text, None, None)


@given(st.text(max_size=12))
def test_any_text_is_a_length_or_not(text: str) -> None:
    seconds = parse_length(text)
    assert seconds is None or 0 < seconds <= 100 * 365 * 86400


def test_instants() -> None:
    context = click.Context(click.Command("x"), obj=Invocation({}, clock=lambda: 1_800_000_000))
    convert = Instant().convert
    assert convert("15m", None, context) == datetime(2027, 1, 15, 7, 45, tzinfo=UTC)
    assert convert("2027-01-15", None, context) == datetime(2027, 1, 15, tzinfo=UTC)
    at_noon = datetime(2027, 1, 15, 12, tzinfo=UTC)
    for text in ("2027-01-15T12:00", "2027-01-15T12:00:00Z", "2027-01-15T14:00+02:00"):
        assert convert(text, None, context) == at_noon
    with pytest.raises(click.BadParameter, match="neither a length"):
        convert("yesterday", None, context)
