from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from octelium.tui.inert import CELL, cell, fitted, lines, shortened
from tests.tui.hostile import HOSTILE

_ANY = st.text(st.characters(), max_size=400) | st.sampled_from(HOSTILE)


def harmless(text: str) -> bool:
    return all(
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
        for character in text
    )


@given(_ANY)
def test_nothing_unseen_is_left(text: str) -> None:
    shown = cell(text)
    assert harmless(shown)
    assert len(shown) <= CELL
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(_ANY)
def test_what_is_shown_is_stable(text: str) -> None:
    shown = cell(text)
    assert cell(shown) == shown


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=CELL))
def test_plain_text_stays(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize("text", ["Müller", "名前", "Ελλάδα", "naïve e\u0301", "😀"])
def test_scripts_of_the_world_stay(text: str) -> None:
    assert cell(text) == text


@given(_ANY, st.integers(0, 200))
def test_a_fitted_text_has_its_width(text: str, width: int) -> None:
    assert cell_len(fitted(cell(text), width)) == width


@given(_ANY, st.integers(0, 200))
def test_a_shortened_text_has_its_width(text: str, width: int) -> None:
    assert cell_len(shortened(cell(text), width)) == width


def test_a_shortened_name_keeps_its_end() -> None:
    assert shortened("service-number-17.production", 16) == "service-…duction"
    assert shortened("short", 16) == "short" + " " * 11


def test_a_pile_of_marks_is_told_apart() -> None:
    assert cell("a" + "\u0301" * 5).count("\\u0301") == 3
    assert cell("\u0301a") == "\\u0301a"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert cell("x" * 10_000, 10) == "xxxxxxxxx…"
    assert cell("\x1b" * 10_000, 9) == "\\x1b\\x1b…"


def test_what_looks_like_a_space_is_told() -> None:
    assert cell("admin\u00a0") == "admin\\u00a0"
    assert cell("a\u2800b\u3164c") == "a\\u2800b\\u3164c"


@given(_ANY)
def test_lines_stay_lines(text: str) -> None:
    shown = lines(text)
    assert len(shown) == text.count("\n") + 1
    assert all(map(harmless, shown))
