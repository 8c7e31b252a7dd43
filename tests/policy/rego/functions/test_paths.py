from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('json.filter({"a": {"b": 1, "c": 2}, "d": 3}, ["a/b", "d"])', {"a": {"b": 1}, "d": 3}),
        ('json.filter({"a": [{"b": 1, "c": 2}, 5]}, {"a/0/b"})', {"a": [{"b": 1}]}),
        ('json.filter({"a": {"b": 1}}, ["a/b", "a"])', {"a": {"b": 1}}),
        ('json.filter({"a": 1}, [])', {}),
        ('json.filter({"a": 1}, ["x/y"])', {}),
        ('json.filter({"a/b": {"~": 1}}, ["a~1b/~0"])', {"a/b": {"~": 1}}),
        ('json.filter({"a": {"b": 1, "c": 2}}, [["a", "c"]])', {"a": {"c": 2}}),
        ('json.filter({"a": {5, 6}}, [["a", 5]])', {"a": [5]}),
        ('json.remove({"a": {"b": 1, "c": 2}, "d": 3}, ["a/b", "d"])', {"a": {"c": 2}}),
        ('json.remove({"a": [1, 2, 3]}, ["a/1"])', {"a": [1, 3]}),
        ('json.remove({"a": 1}, ["a/b"])', {"a": 1}),
        ('json.remove({"a": {5, 6}}, [["a", 5]])', {"a": [6]}),
        ('json.remove({"a": 1}, ["/a"])', {}),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("json.filter([], [])", "argument 1 must be object"),
        ("json.filter({}, 1)", "array or set"),
        ("json.filter({}, [1])", "a path must be a string or an array"),
        ("json.remove(1, [])", "must be object"),
        ('json.remove({}, [["a" | some i in numbers.range(1, 100)]])', "more than 64 steps"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
