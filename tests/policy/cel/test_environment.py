from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.environment import MAX_LENGTH, check
from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.program import compile_program, new_frame
from tests.peers.timing import within


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


def bounded(text: str) -> None:
    """A text compiles, or is refused, within bounds; and so does the condition made of it."""
    with within(5), contextlib.suppress(CompileError, EvaluationError):
        compile_program(text).test(new_frame({"a": {"b": 1.0}, "l": ["x"]}))


NESTED = [
    ("(", ")"), ("[", "]"), ("{1:", "}"), ("!", ""), ("-", ""), ("size(", ")"), ("has(ctx.", ")"),
    ("true?", ":1"), ("[1].map(x,", ")"), ("cel.bind(x,1,", ")"), ("ctx[", "]"), ("", ".a"),
    ("", "[0]"), ("", " + 1"), ("", " && true"), ("", ".size()"), ("1 in ", ""), ("'a' + ", ""),
    ("[1].exists(x, x == 1 && ", ")"), ("dyn(", ")"), ("{'a': [", "]}"),
]  # fmt: skip


@pytest.mark.parametrize("around", NESTED)
@pytest.mark.parametrize("depth", [1, 10, 31, 33, 100, 1000, 4000])
def test_no_depth_breaks_the_parser(around: tuple[str, str], depth: int) -> None:
    before, after = around
    for core in ("1", "ctx", "true", ""):
        bounded(before * depth + core + after * depth)


@given(
    st.lists(st.tuples(st.sampled_from(NESTED), st.integers(1, 40)), max_size=5),
    st.sampled_from(["ctx.a.b", "1", "'x'", "x", ""]),
)
def test_no_mixture_of_depths_breaks_the_parser(
    layers: list[tuple[tuple[str, str], int]], core: str
) -> None:
    for (before, after), depth in layers:
        core = before * depth + core + after * depth
    bounded(core)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda b: b.decode("latin-1"))))
def test_no_text_breaks_what_is_made_of_it(text: str) -> None:
    bounded(text)
    bounded(f"'{text}' == ctx.a")
    bounded(f"ctx.a.matches('{text}')")
    bounded(f"ctx.`{text}`")
    bounded(f"timestamp('{text}') > now() // {text}")


@given(st.lists(st.sampled_from(ALPHABET), max_size=60).map(" ".join))
def test_no_sequence_of_tokens_breaks_a_condition(text: str) -> None:
    bounded(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * 4998 + "1]",
        "{" + ",".join(f"{number}:1" for number in range(1200)) + "}",
        " || ".join(["ctx.a.b == 1.0"] * 550),
        "'" + "x" * 9990 + "'",
        "ctx" + ".a" * 4990,
        "ctx.a.matches('" + "(a|b)?" * 1600 + "')",
        "ctx.a.matches('" + "\\\\pL{50}" * 1100 + "')",
        "1" * 9999,
        "0x" + "f" * 9000,
        "1e" + "9" * 5000,
        "\\x00" * 2000,
        "'" + "\\u0001" * 1600 + "'",
        "\U0001f431" * 9000,
        "/" * 10_000,
        "ctx." * 2500,
        "a" * 10_001,
    ],
)
def test_no_length_breaks_the_parser(text: str) -> None:
    bounded(text)


def test_one_sign_is_no_comparison() -> None:
    with pytest.raises(CompileError, match=r"did you mean ==\?"):
        check('ctx.a = "ops"')
    with pytest.raises(CompileError, match=r"did you mean ==\?"):
        check('ctx.a ="ops"')
    for text in ('ctx.a => "ops"', 'ctx.a $ "ops"'):
        with pytest.raises(CompileError) as caught:
            check(text)
        assert "did you mean" not in str(caught.value)
