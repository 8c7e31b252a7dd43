from __future__ import annotations

import contextlib

import pytest

from octelium.policy.rego.functions import regexes
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from tests.peers.timing import within
from tests.policy.rego.evaluation import result
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


HEAVY = ["(.{1,100}){1,8}b", "(?i)(a?){500}a{500}b", "[ab]*a[ab]{300}c", "(\\pL{1,100}){1,9}1"]
CALLS = {
    "match": "regex.match(input.p, input.v)",
    "find": "count(regex.find_n(input.p, input.v, -1)) > 0",
    "submatches": "count(regex.find_all_string_submatch_n(input.p, input.v, -1)) > 0",
    "split": "count(regex.split(input.p, input.v)) > 9",
    "replace": 'regex.replace(input.v, input.p, "") == ""',
    "template": 'regex.template_match(sprintf("{%s}", [input.p]), input.v, "{", "}")',
    "valid": "regex.is_valid(input.p)",
}


@pytest.mark.parametrize("call", sorted(CALLS))
@pytest.mark.parametrize("expression", HEAVY)
def test_searches_are_charged_by_text_and_automaton(call: str, expression: str) -> None:
    """With what may be spent in an event loop, no call takes long."""
    for text in ("a" * 40_000, "é" * 20_000, "ab" * 20_000):
        with within(2), contextlib.suppress(RegoError):
            result(f"match if {CALLS[call]}", {"p": expression, "v": text}, steps=3000)


def test_a_literal_that_is_expensive_on_a_long_text_is_refused_at_once() -> None:
    rules = "match if regex.match(`(.{1,100}){1,8}b`, input.v)"
    with pytest.raises(RegoBudgetError):
        result(rules, {"v": "a" * 30_000}, steps=3000)
    assert result("match if regex.match(`^a+$`, input.v)", {"v": "a" * 30_000}, steps=3000)


def test_patterns_made_of_data_take_bounded_memory() -> None:
    for number in range(300):
        expression = f"(?i)(.{{1,100}}){{1,6}}{number}"
        result("match if regex.match(input.p, input.v)", {"p": expression, "v": ""})
    assert 0 < regexes._CACHE.size <= regexes._MAX_CACHED
    assert len(regexes._CACHE._found) <= regexes._MAX_CACHED // regexes._SMALL


def test_what_needs_a_large_automaton_is_made_where_there_is_time() -> None:
    document = {"p": f"(.{{1,100}}){{1,8}}({'|'.join(map(str, range(200)))})", "v": "abc 17"}
    rules = "match if regex.match(input.p, input.v)"
    with pytest.raises(RegoBudgetError):
        result(rules, document, steps=3000)
    assert result(rules, document) is True
