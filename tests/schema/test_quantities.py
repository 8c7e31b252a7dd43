from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.quantities import MAX, Quantity, mebibytes, millis, parse_quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("1", "1"),
        ("+7", "7"),
        ("007", "7"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("10000000", "10M"),
        ("1.5k", "1500"),
        ("3000m", "3"),
        ("2000000u", "2"),
        ("1024Mi", "1Gi"),
        ("5000Mi", "5000Mi"),
        ("0.5Ki", "512"),
        ("1000Ki", "1000Ki"),
        ("1.5Gi", "1536Mi"),
        (".5Gi", "512Mi"),
        ("1e3", "1e3"),
        ("1E4", "10e3"),
        ("1e0", "1"),
        ("100e-2", "1"),
        ("9223372036854775807", "9223372036854775807"),
        ("7Ei", "7Ei"),
        ("122.0703125Ki", "125k"),
    ],
)
def test_canonical_texts(text: str, canonical: str) -> None:
    assert str(parse_quantity(text)) == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not an amount"),
        ("two", "not an amount"),
        ("-1", "not an amount"),
        ("1 Gi", "not an amount"),
        ("1kI", "not an amount"),
        ("1e", "1"),
        ("1e1000", "not an amount"),
        (".", "not an amount"),
        ("1" * 65, "not an amount"),
        ("٣", "not an amount"),
        ("0.5", "not a whole amount"),
        ("1m", "not a whole amount"),
        ("1e-3", "not a whole amount"),
        ("8Ei", "more than"),
        ("1e999", "more than"),
    ],
)
def test_what_is_no_whole_amount(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_quantity(text)


@given(st.integers(0, MAX), st.sampled_from(["decimal", "binary", "exponent"]))
def test_the_canonical_text_says_the_same_and_stays(value: int, form: str) -> None:
    text = str(Quantity(value, form))  # type: ignore[arg-type]  # one of the three
    read = parse_quantity(text)
    assert read.value == value
    assert str(read) == text


@given(st.text(max_size=80))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        found = parse_quantity(text)
    except ValueError:
        return
    assert 0 <= found.value <= MAX


def test_millis_and_mebibytes() -> None:
    assert [millis(count) for count in (10, 1000, 1500, 2_000_000)] == ["10m", "1", "1500m", "2k"]
    assert [mebibytes(count) for count in (5, 512, 1024, 2048, 5000)] == [
        *("5Mi", "512Mi", "1Gi", "2Gi", "5000Mi"),
    ]
