from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('object.get({"a": null}, "a", 1)', None),
        ('object.get({"a": 1}, [], 9)', {"a": 1}),
        ('object.get({"a": [5]}, ["a", 0], 9)', 5),
        ('object.get({"a": [5]}, ["a", 1], 9)', 9),
        ('object.get({"a": {7}}, ["a", 7], 9)', 7),
        ('object.get({"a": 1}, ["a", "b"], 9)', 9),
        ("object.get({1: 2}, 1.0, 9)", 2),
        ("object.keys({})", []),
        ('object.remove({"a": 1, "b": 2}, {"a": 5})', {"b": 2}),
        ('object.remove({"a": 1}, [])', {"a": 1}),
        ('object.filter({"a": 1}, {"b"})', {}),
        ('object.union({"a": 1}, {"a": {"b": 2}})', {"a": {"b": 2}}),
        ("object.union_n([])", {}),
        ('object.subset({"a": 1}, {})', True),
        ('object.subset({"a": 1}, {"a": 2})', False),
        ("object.subset({1, 2}, {3})", False),
        ("object.subset([1, 2, 3], [2, 3])", True),
        ("object.subset([1, 2, 3], [1, 3])", False),
        ("object.subset([1, 2, 3], {3, 1})", True),
        ('object.subset({"a": {1, 2}}, {"a": {1}})', True),
        ('object.subset({"a": [1, 2]}, {"a": [2]})', True),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("object.get(1, 2, 3)", "must be object"),
        ("object.keys([])", "must be object"),
        ("object.remove({}, 1)", "array, object or set"),
        ("object.remove([], [])", "must be object"),
        ("object.union({}, [])", "argument 2 must be object"),
        ("object.union_n({})", "must be array"),
        ("object.union_n([1])", "must be object"),
        ("object.subset({}, {1})", "both arguments"),
        ("object.subset({1}, [1])", "both arguments"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
