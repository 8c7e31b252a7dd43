from __future__ import annotations

import pytest

from octelium.policy.rego.needed import RegoBudgetError
from tests.peers.timing import within
from tests.policy.rego.evaluation import result
from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('contains("", "")', True),
        ('startswith("a", "")', True),
        ('endswith("", "a")', False),
        ('concat(",", [])', ""),
        ('concat(",", {"b", "a"})', "a,b"),
        ("format_int(-255, 16)", "-ff"),
        ("format_int(5, 2)", "101"),
        ("format_int(-1.9, 10)", "-1"),
        ("format_int(8, 8)", "10"),
        ('indexof("abc", "z")', -1),
        ('indexof_n("abc", "z")', []),
        ('lower("ÀÉ")', "àé"),
        ('lower("\\u0130")', "i"),
        ('upper("ßŉa")', "ßŉA"),
        ('replace("ab", "", "-")', "-a-b-"),
        ('replace("aaa", "aa", "b")', "ba"),
        ('split("añb", "")', ["a", "ñ", "b"]),
        ('split("", ",")', [""]),
        ('split("", "")', []),
        ('split("a,,b", ",")', ["a", "", "b"]),
        ('substring("abc", 5, 1)', ""),
        ('substring("abc", 1, 0)', ""),
        ('substring("abc", 0, 99)', "abc"),
        ('strings.any_prefix_match(["ab", "cd"], "c")', True),
        ('strings.any_prefix_match("ab", [])', False),
        ('strings.any_suffix_match(set(), "a")', False),
        ('strings.count("aaa", "aa")', 1),
        ('strings.count("añ", "")', 3),
        ('strings.reverse("")', ""),
        ('strings.replace_n({"a": "1", "ab": "2"}, "abb")', "1bb"),
        ('strings.replace_n({}, "abc")', "abc"),
        ('trim("abcba", "ab")', "c"),
        ('trim("abc", "")', "abc"),
        ('trim_left("ñña", "ñ")', "a"),
        ('trim_prefix("aab", "a")', "ab"),
        ('trim_suffix("b", "x")', "b"),
        ('trim_space("\\u00a0\\u2003a\\u200b ")', "a\u200b"),
        ('trim_space("")', ""),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("concat(1, [])", "argument 1 must be string"),
        ('concat("", [1])', "with no, not number"),
        ('contains(1, "a")', "argument 1"),
        ('contains("a", 1)', "argument 2"),
        ('startswith(null, "a")', "argument 1"),
        ('endswith("a", null)', "argument 2"),
        ("format_int(1, 3)", "2, 8, 10 or 16"),
        ('format_int("1", 10)', "must be number"),
        ('indexof("a", "")', "must not be empty"),
        ('indexof_n("a", "")', "must not be empty"),
        ('substring("abc", -1, 1)', "must not be negative"),
        ("lower(1)", "must be string"),
        ('replace("a", 1, "")', "argument 2"),
        ('split("a", 1)', "argument 2"),
        ('strings.replace_n({"": "a"}, "b")', "must not be empty"),
        ('strings.replace_n({"a": 1}, "b")', "must be string"),
        ('strings.replace_n([], "b")', "must be object"),
        ('trim("a", 1)', "argument 2"),
        ('strings.any_prefix_match(1, "a")', "array or set"),
        ("strings.reverse([])", "must be string"),
        ('replace(t, "a", t)\nt := concat("", ["a" | numbers.range(1, 5000)[_]])', "more than"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)


@pytest.mark.parametrize(
    "call", ["upper(x)", "lower(x)", 'trim(x, "a")', 'trim_left("a", x)', 'trim_right(x, "a")']
)
def test_long_texts_are_charged_before_anything_is_done(call: str) -> None:
    rules = f"match if {{ x := input.x; {call} != 1 }}"
    assert result(rules, {"x": "é" * 1000}, steps=300) is True
    with within(2), pytest.raises(RegoBudgetError):
        result(rules, {"x": "é" * 4_000_000}, steps=3000)
