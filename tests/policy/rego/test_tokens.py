from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.rego.tokens import (
    MAX_TEXT,
    RegoSyntaxError,
    input_paths,
    string_value,
    tokens_of,
    words,
)


def test_tokens() -> None:
    tokens = tokens_of('match if{ # comment\n  x.y := "a\\"b" ; `r\n"` == 1.5e3}')
    assert [(token.kind, token.text) for token in tokens] == [
        ("name", "match"),
        ("name", "if"),
        ("operator", "{"),
        ("name", "x"),
        ("operator", "."),
        ("name", "y"),
        ("operator", ":="),
        ("string", '"a\\"b"'),
        ("operator", ";"),
        ("raw", '`r\n"`'),
        ("operator", "=="),
        ("number", "1.5e3"),
        ("operator", "}"),
        ("end", ""),
    ]
    assert [token.line for token in tokens] == [1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3]
    assert [token.text for token in tokens if not token.gap] == ["{", ".", "y", "}"]
    assert [token.text for token in tokens if token.breaks] == ["match", "x", ""]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"abc', "line 1: a string does not end"),
        ('x\n"a\nb"', "line 2: a string does not end"),
        ("`abc", "a string does not end"),
        ("x @ y", "unexpected character '@'"),
        ("'a'", "unexpected character"),
        ('$"{x}"', "template strings are not offered"),
        ("x" * (MAX_TEXT + 1), "at most 20000 are allowed"),
    ],
)
def test_what_is_no_token(text: str, problem: str) -> None:
    with pytest.raises(RegoSyntaxError, match=problem):
        tokens_of(text)


@given(st.text(alphabet=' \n\t"`\\#abc019.,;:=!<>{}[]()|&+-*/%_$@ñ', max_size=60))
def test_tokens_are_all_of_the_text(text: str) -> None:
    try:
        tokens = tokens_of(text)
    except RegoSyntaxError:
        return
    at = 0
    for token in tokens:
        following = text.index(token.text, at) if token.text else len(text)
        between = text[at:following]
        assert all(
            not line.strip(" \t\r\n") or line.lstrip(" \t\r").startswith("#")
            for line in between.split("\n")
        )
        assert token.gap or not between
        at = following + len(token.text)


def test_paths_of_the_input() -> None:
    def paths(text: str) -> set[tuple[str, ...]]:
        return set(input_paths(tokens_of(text)))

    assert paths("input.ctx.a == x.input.b") == {("ctx", "a")}
    assert paths('input["ctx"] + input .a + input. b') == {()} | {("b",)}
    assert paths("f(input)") == {()}
    assert paths("import input.ctx as c") == {("ctx",)}
    assert paths('"input.a" # input.b') == set()


def test_values_of_strings_and_words() -> None:
    tokens = tokens_of(r'a.b["c\u0064.e"](`f\g`) # h' + "\n1")
    assert words(tokens) == {"a", "b", "cd", "e", r"f\g"}
    assert [string_value(token) for token in tokens if token.kind in ("string", "raw")] == [
        "cd.e",
        r"f\g",
    ]
    for wrong in (r'"\x"', r'"\ud800"', '"\t"'):
        with pytest.raises(RegoSyntaxError, match="no string"):
            words(tokens_of(wrong))
