from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.slug import slug


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice@acme.test", "alice-acme-test"),
        ("Alice@ACME.test", "alice-acme-test"),
        ("a..b", "a-b"),
        ("José_1", "jose_1"),
        ("a-b", "a-b"),
        ("a.b", "a-b"),
        ("--a--", "a"),
        ("", ""),
    ],
)
def test_slugs(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_texts_of_other_scripts_keep_apart() -> None:
    assert slug("Жанна") != slug("Пётр")
    assert slug("Жанна") == slug("ЖАННА")


@given(st.text(max_size=40))
def test_a_slug_is_plain_and_stable(text: str) -> None:
    made = slug(text)
    assert re.fullmatch(r"[a-z0-9_-]*", made)
    assert slug(made) == made
