from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('regex.match("a", "bab")', True),
        ('regex.match("^a$", "a\\n")', False),
        ('regex.match(`^\\pL+$`, "äß")', True),
        ('regex.match(`(?i)ÄB`, "äb")', True),
        ('regex.match("", "")', True),
        ('regex.match(`^.$`, "ñ")', True),
        ('regex.is_valid("a{2,1}")', False),
        ('regex.is_valid("(?<=a)b")', False),
        ("regex.is_valid(`(a)\\1`)", False),
        ("regex.is_valid(1)", False),
        ('regex.is_valid("a+")', True),
        ('regex.find_n("a*", "baac", -1)', ["", "aa", ""]),
        ('regex.find_n("ñ", "xñyñ", 1)', ["ñ"]),
        ('regex.find_n("a", "aaa", 0)', []),
        ('regex.find_n("z", "aaa", -1)', []),
        ('regex.find_all_string_submatch_n("a(x*)b", "-ab-axb-", -1)', [["ab", ""], ["axb", "x"]]),
        ('regex.find_all_string_submatch_n("(a)|(b)", "b", -1)', [["b", "", "b"]]),
        ('regex.split("a", "banana")', ["b", "n", "n", ""]),
        ('regex.split("x", "abc")', ["abc"]),
        ('regex.split("", "abc")', ["a", "b", "c"]),
        ('regex.split("a", "")', [""]),
        ('regex.replace("banana", "a(n)?", "<$1>")', "b<n><n><>"),
        ('regex.replace("ab", "(?P<x>a)(b)", "${2}${x}$$")', "ba$"),
        ('regex.replace("ab", "a", "$1x")', "b"),
        ('regex.replace("ab", "a", "$")', "$b"),
        ('regex.replace("abc", "", "-")', "-a-b-c-"),
        ('regex.template_match("a.{x|y}", "a.y", "{", "}")', True),
        ('regex.template_match("a.{x}", "abx", "{", "}")', False),
        ('regex.template_match("{a{2}}", "aa", "{", "}")', True),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('regex.match(input.x, "a") with input as {"x": "(?=a)"}', "no regular expression of RE2"),
        ('regex.match(input.x, "a") with input as {"x": "("}', "no regular expression of RE2"),
        ('regex.match(1, "a")', "argument 1 must be string"),
        ('regex.match("a", 1)', "argument 2"),
        ('regex.find_n("a", "a", 1.5)', "whole number"),
        ('regex.replace("a", "a", 1)', "argument 3"),
        ('regex.template_match("a{b", "ab", "{", "}")', "do not match"),
        ('regex.template_match("a}b", "ab", "{", "}")', "do not match"),
        ('regex.template_match("a", "a", "{{", "}")', "must be one character"),
        (
            'regex.match(concat("", ["a" | some i in numbers.range(1, 20000)]), "a")',
            "more than 10000 characters",
        ),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
