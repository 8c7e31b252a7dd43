from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2", 3),
        ("0.5 + 0.5", 1),
        ("1 - 0.5", 0.5),
        ("6 / 3", 2),
        ("7 / 2", 3.5),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("7.0 % 4.0", 3),
        ("2 * 3", 6),
        ("{1} - {1.0}", []),
        ("{1, [2]} & {[2]}", [[2]]),
        ("{1} | {1.0}", [1]),
        ("1 == 1.0", True),
        ("1 != 1.0", False),
        ("[1, {2}] == [1.0, {2.0}]", True),
        ("true == 1", False),
        ("{true} == {1}", False),
        ("{true, 1}", [True, 1]),
        ('{1: "a", true: "b"}[true]', "b"),
        ("[false] == [0]", False),
        ('"a" < "b"', True),
        ('"B" < "a"', True),
        ("[] < [null]", True),
        ('{"a": 1} < {"b": 0}', True),
        ("{1} < {2}", True),
        ("{1, 3} < {2}", True),
        ("1 >= 1", True),
        ("2 <= 1", False),
        ("1 in {1.0}", True),
        ('1 in "1"', False),
        ('1 in {"a": 1}', True),
        ("(0, 5 in [5])", True),
        ("(1, 5 in [5])", False),
        ('("a", 5 in {"a": 5})', True),
        ("(5, 5 in {5})", True),
        ("(4, 5 in {5})", False),
        ("(1, 1 in 1)", False),
        ("true in [1]", False),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("1 / 0", "divide by zero"),
        ("1 / 0.0", "divide by zero"),
        ("1 % 0", "modulo by zero"),
        ("1.5 % 2", "whole number"),
        ('1 + "a"', "argument 2 must be number"),
        ('"a" + "b"', "argument 1 must be number"),
        ("[1] + [2]", "must be number"),
        ("true + 1", "must be number"),
        ("{1} + {2}", "must be number"),
        ("{1} - 1", "argument 2 must be set"),
        ("1 - {1}", "must be number"),
        ("{1} | [1]", "argument 2 must be set"),
        ("[1] & {1}", "argument 1 must be set"),
        ("1e300 * 1e300", "too large"),
        ("product([9 | some x in numbers.range(1, 2000)])", "too large"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
