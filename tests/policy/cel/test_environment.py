from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.environment import MAX_LENGTH, check
from octelium.policy.cel.errors import CompileError


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("true", "BOOL"),
        ("ctx.user.spec.type == 'HUMAN'", "BOOL"),
        ("ctx.user", "DYN"),
        ("attrs.x", "DYN"),
        ("1", "INT"),
        ("now()", "TIMESTAMP"),
        ("json.marshal(ctx)", "STRING"),
        ("json.parse('{}').a", "DYN"),
        ("ctx.a.hasAny([1])", "BOOL"),
        ("[1].min()", "INT"),
        ("ctx.a.max()", "DYN"),
        ("'a'.toUpper()", "STRING"),
        ("net.isIPInRange(ctx.request.ip, '10.0.0.0/8')", "BOOL"),
        ("time.isWeekendInTZ(now(), 'Europe/Berlin')", "BOOL"),
        ("cel.bind(x, 1, x)", "INT"),
        ("math.greatest(1, 2)", "INT"),
        ("base64.encode(b'a')", "STRING"),
        ("strings.quote('a')", "STRING"),
    ],
)
def test_result_types(text: str, result: str) -> None:
    assert check(text).type == result


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("ctx.", "line 1, column 5"),
        ("true &&\n&& true", "line 2"),
        ("nope.user", "undeclared reference to 'nope"),
        ("frobnicate(1)", "undeclared reference to 'frobnicate'"),
        ("1.0 == 1", "no matching overload"),
        ("'a' + 1", "no matching overload"),
        ("now(1)", "undeclared reference to 'now'"),
        ("ctx.?user", "unsupported syntax"),
        ("[1].exists(i, v, v > 0)", "undeclared"),
        ("google.protobuf.Duration{seconds: 1}", "cannot be constructed"),
        ("'" + "a" * MAX_LENGTH + "'", "characters"),
        ("(" * 100 + "1" + ")" * 100, "nested"),
        ("[" * 100 + "]" * 100, "nested"),
        ("'\ud800'", "surrogate"),
        ("{1.5: 1}", "key type"),
    ],
)
def test_what_is_wrong_is_said(text: str, problem: str) -> None:
    with pytest.raises(CompileError, match=problem):
        check(text)


def test_a_message_has_one_line() -> None:
    with pytest.raises(CompileError) as caught:
        check("foo(1) + bar(2)")
    assert "\n" not in str(caught.value)


def test_other_variables() -> None:
    assert check("x + a.b", ("x", "a.b")).type == "DYN"
    with pytest.raises(CompileError):
        check("ctx", ("x",))
    assert check("anything(x)", (), types=False).type == "DYN"


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(CompileError):
        assert check(text).text == text


ALPHABET = [*"()[]{}.,?:!&|=<>+-*/% '\"ab1\\\n", "ctx", "has", "all", "exists", "true", "in", "x"]


@given(st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join))
def test_no_sequence_of_tokens_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(CompileError):
        assert check(text).text == text
