from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.inert import inert, inert_json, inert_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b?c=d e", "/a/b?c=d e"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\x7f\x85\x9b31m", "\\x7f\\x85\\x9b31m"),
        ("abc\u202edef", "abc\\u202edef"),
        ("tag\U000e0041 soft\xad", "tag\\U000e0041 soft\\xad"),
        ("Größe 大 🙂", "Größe 大 🙂"),
        ("lone \ud800", "lone \\ud800"),
    ],
)
def test_control_and_format_characters_are_escaped(text: str, shown: str) -> None:
    assert inert(text) == shown


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    shown = inert(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert inert(shown) == shown
    assert inert_lines(text).count("\n") == text.count("\n")


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5))
def test_json_keeps_its_value(value: object) -> None:
    for indent in (None, 4):
        text = inert_json(json.dumps(value, ensure_ascii=False, indent=indent))
        assert json.loads(text) == value
        assert not any((ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in text)
