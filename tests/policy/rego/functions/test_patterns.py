from __future__ import annotations

import contextlib

import pytest

from octelium.policy.rego.needed import RegoError
from tests.peers.timing import within
from tests.policy.rego.evaluation import result
from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('glob.match("*.com", ["."], "a.com")', True),
        ('glob.match("*.com", ["."], "a.b.com")', False),
        ('glob.match("*.com", [], "a.b.com")', False),
        ('glob.match("*.com", null, "a.b.com")', True),
        ('glob.match("**.com", ["."], "a.b.com")', True),
        ('glob.match("?at", [], "cat")', True),
        ('glob.match("?at", [], "at")', False),
        ('glob.match("a?b", ["."], "a.b")', False),
        ('glob.match("[bc]at", [], "cat")', True),
        ('glob.match("[!bc]at", [], "cat")', False),
        ('glob.match("[a-c]at", [], "bat")', True),
        ('glob.match("[!a-c]at", [], "dat")', True),
        ('glob.match("{cat,bat,[fr]at}", [], "rat")', True),
        ('glob.match("{a,b{c,d}}", [], "bd")', True),
        ('glob.match("a\\\\*b", [], "a*b")', True),
        ('glob.match("a\\\\*b", [], "axb")', False),
        ('glob.match("api/*/x", ["/"], "api/v1/x")', True),
        ('glob.match("api/*/x", ["/"], "api/v/1/x")', False),
        ('glob.match("*:*", [":"], "a:b")', True),
        ('glob.match("a+(b)", [], "a+(b)")', True),
        ('glob.match("", [], "")', True),
        ('glob.match("*", null, "a\\nb")', True),
        ('glob.match("a,b}", [], "a,b}")', True),
        ('glob.match("[a.c]", [], ".")', True),
        ('glob.quote_meta("{a,b}?[c]")', "\\{a,b\\}\\?\\[c\\]"),
        ("glob.quote_meta(`a\\b`)", "a\\\\b"),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('glob.match("{a", [], "a")', "a brace is not closed"),
        ('glob.match("[a", [], "a")', "not closed, or is empty"),
        ('glob.match("[]", [], "a")', "not closed, or is empty"),
        ('glob.match("[z-a]", [], "b")', "upside down"),
        ('glob.match("a", ["ab"], "a")', "one character"),
        ('glob.match("a", ".", "a")', "argument 2 must be array"),
        ('glob.match("a", [1], "a")', "argument 2 must be string"),
        ('glob.match(1, [], "a")', "argument 1"),
        ('glob.match("a", [], 1)', "argument 3"),
        ("glob.quote_meta(1)", "must be string"),
        ('glob.match("{{{{{{{{{a}}}}}}}}}", [], "a")', "nested too deeply"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)


def test_globs_are_charged_by_text_and_automaton() -> None:
    text = "ab" * 20_000
    for pattern in ("*a" * 100, "{" + "*a*," * 200 + "b}", "{a,b}" * 300, "?" * 1900):
        with within(1), contextlib.suppress(RegoError):
            result(
                'match if glob.match(input.p, ["."], input.v)',
                {"p": pattern, "v": text},
                steps=3000,
            )
    with pytest.raises(RegoError, match="more than 2000 characters"):
        result('match if glob.match(input.p, ["."], "a")', {"p": "a" * 2001})
    with pytest.raises(RegoError, match="more than 64 delimiters"):
        result('match if glob.match("a", input.d, "a")', {"d": ["x"] * 65})
