from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("count([])", 0),
        ('count({"a": 1})', 1),
        ('count("")', 0),
        ("sum([])", 0),
        ("sum({1, 2})", 3),
        ("product([])", 1),
        ("product([1.5, 2])", 3),
        ('max({1, "a", [0]})', [0]),
        ("min([2, 1.5])", 1.5),
        ("max([true, false])", True),
        ('sort(["b", 1, null, {}, [], true])', [None, True, 1, "b", [], {}]),
        ("array.concat([], [1])", [1]),
        ("array.slice([1, 2, 3], -5, 2)", [1, 2]),
        ("array.slice([1, 2, 3], 2, 1)", []),
        ("array.slice([1, 2, 3], 1, 99)", [2, 3]),
        ("array.flatten([])", []),
        ("array.reverse([])", []),
        ("intersection(set())", []),
        ("intersection({{1}, {2}})", []),
        ("union(set())", []),
        ("union({{1, 2}, set()})", [1, 2]),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("count(1)", "array, object, set or string"),
        ('sum(["a"])', "must be number"),
        ("product([null])", "must be number"),
        ('sum("12")', "array or set"),
        ('max({"a": 1})', "array or set"),
        ("sort(1)", "array or set"),
        ("array.concat([1], {2})", "argument 2 must be array"),
        ("array.slice([1], 0.5, 1)", "whole number"),
        ("array.reverse({1})", "must be array"),
        ("intersection({1})", "must be set"),
        ("union([{1}])", "must be set"),
        ("array.flatten({1})", "must be array"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
