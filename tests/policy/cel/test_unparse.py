"""Texts that parse to the trees they were made of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.ast import Call, Const, Fold, Ident, Node
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError
from octelium.policy.cel.program import evaluate_once
from octelium.policy.cel.unparse import escaped, literal, unparse
from octelium.policy.cel.values import CelType, Duration, Timestamp, UInt
from tests.policy.cel.oracle import conditions, expressions
from tests.policy.cel.test_program import identical, load


def tree(text: str, variables: tuple[str, ...] = ("ctx", "attrs")) -> Node:
    return check(text, variables, types=False).root


@pytest.mark.parametrize(
    "text",
    [
        "a && b && c && d && e",
        "a && (b && c)",
        "a && b || c && d",
        "(a || b) && c",
        "a - (b - c)",
        "a - b - c",
        "a * (b + c) % 2",
        "-(1)",
        "-1",
        "2 - -1",
        "-(-a)",
        "!(!a)",
        "!(a && b)",
        "(-1).f",
        "(1 + 2).f",
        "(a ? b : c) ? d : e",
        "a ? b : c ? d : e",
        "a ? (b ? c : d) : e",
        "(a < b) == (c < d)",
        'a in [1, 2u, 3.0, b"x"]',
        'a["x"][b].c',
        "a.`b-c`",
        "has(a.b.c)",
        '{"a": 1, b: c ? 1 : 2}',
        "a.all(x, x.exists(y, y == x))",
        "a.exists_one(x, x > 1)",
        "a.map(x, x + 1)",
        "a.map(x, x > 1, [x])",
        "a.filter(x, x > 1)",
        "cel.bind(v, a + 1, v * v)",
        "(a + b).map(x, x)[0].startsWith(c)",
        "math.greatest(a, b, c)",
        'timestamp("2027-01-15T08:00:00Z") < now()',
        "1e999",
        "-1e999",
        "1e+300",
        'b"\\xff\\x22\\x5c"',
        '"\\u202e \\" \\\\ \\n\\u0007 é"',
    ],
)
def test_texts_in_their_shortest_form_stay_as_they_are(text: str) -> None:
    assert unparse(tree(text, tuple("abcde"))) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((a)&&((b)))", "a && b"),
        ("((a+b))+c", "a + b + c"),
        ("r'\\d'", '"\\\\d"'),
        ("'a' + \"b\"", '"a" + "b"'),
        ("math.least([a, b, c])", "math.least(a, b, c)"),
        ("math.least([a, b])", "math.least([a, b])"),
        ("a.map(x, x > 1, x)", "a.filter(x, x > 1)"),
        ("0x10", "16"),
        ("a == b == c", "(a == b) == c"),
    ],
)
def test_parentheses_and_spellings_that_change_nothing_are_dropped(
    text: str, expected: str
) -> None:
    assert unparse(tree(text, ("a", "b", "c"))) == expected


@pytest.mark.parametrize(("_file", "case"), load())
def test_cases_of_the_specification(_file: str, case: dict[str, Any]) -> None:
    variables = tuple(case.get("bindings", {}))
    try:
        parsed = tree(case["expr"], variables)
    except CompileError:
        return  # it tests what the environment does not offer, or a fault of syntax
    assert tree(unparse(parsed), variables) == parsed


@given(st.one_of(expressions(), conditions()))
def test_generated_expressions(text: str) -> None:
    try:
        parsed = tree(text)
    except CompileError:
        return
    shown = unparse(parsed)
    assert tree(shown) == parsed
    assert shown.isprintable()


_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.integers(0, (1 << 64) - 1).map(UInt),
        st.floats(),
        st.text(),
        st.binary(),
        st.integers(0, 10**18).map(Timestamp),
        st.integers(-(10**18), 10**18).map(Duration),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(_VALUES)
def test_literals_evaluate_to_their_values(value: object) -> None:
    text = literal(value)
    assert text.isprintable()
    if "\\ud" not in text:  # half a surrogate pair is no character in CEL
        assert identical(evaluate_once(text, {}), value)


def test_types_and_what_is_no_value() -> None:
    assert literal(CelType("int")) == "int"
    assert literal(object()) == "object"


def test_loops_of_no_macro_have_no_text() -> None:
    fold = Fold("x", Ident("a"), "r", Const(0), Const(value=True), Call("f", None, ()), Ident("r"))
    with pytest.raises(ValueError, match="no known macro"):
        unparse(fold)


def test_texts_are_made_visible() -> None:
    assert escaped("plain") == "plain"
    assert escaped("a\x1b[31m\u202eb\n\U000e0001é") == "a\\u001b[31m\\u202eb\\n\\U000e0001é"
