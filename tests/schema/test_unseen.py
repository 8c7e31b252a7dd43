from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.unseen import escaped_yaml, has_unseen, is_unseen, one_line, visible

UNSEEN = "\x00\x1b\x7f\x85\x9b\xad\u061c\u200b\u200d\u2028\u202e\u2060\u2066\ud800\ufeff\U000e0041"


@pytest.mark.parametrize("character", UNSEEN)
def test_what_nobody_sees(character: str) -> None:
    assert is_unseen(character)
    assert has_unseen(f"a{character}b")


@pytest.mark.parametrize("character", "a ß大🙂\u3000\u00a0\u0301")
def test_what_can_be_seen(character: str) -> None:
    assert not is_unseen(character)
    assert not has_unseen(f"one\ntwo {character}")


@given(text=st.text(st.sampled_from(UNSEEN.replace("\ud800", "") + 'ab"\\ ')))
def test_quoted_texts_keep_their_value(text: str) -> None:
    written = escaped_yaml(yaml.safe_dump(text, default_style='"', allow_unicode=True))
    assert not has_unseen(written)
    assert yaml.safe_load(written) == text


@given(text=st.text(st.sampled_from(UNSEEN + "ab\n\t ß")))
def test_visible_texts_show_everything(text: str) -> None:
    shown = visible(text)
    assert not any(is_unseen(character) for character in shown if character not in "\n\t")
    assert visible(shown) == shown
    assert visible("Größe\n大 🙂") == "Größe\n大 🙂"


@given(text=st.text(st.sampled_from(UNSEEN + "ab\n\r\t ß")))
def test_one_line_shows_everything(text: str) -> None:
    shown = one_line(text)
    assert len(shown.splitlines()) == bool(text)
    assert not any(is_unseen(character) for character in shown)
    assert one_line(shown) == shown
    assert one_line("a\n\r\tb\x1b") == r"a\n\r\tb\x1b"
