from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("abs(-2.5)", 2.5),
        ("round(-2.5)", -3),
        ("round(2.4)", 2),
        ("round(7)", 7),
        ("ceil(-2.1)", -2),
        ("floor(2.9)", 2),
        ("numbers.range(1, 1)", [1]),
        ("numbers.range(1, 3)", [1, 2, 3]),
        ("numbers.range(2, -1)", [2, 1, 0, -1]),
        ("numbers.range_step(10, 0, 4)", [10, 6, 2]),
        ("numbers.range(1.0, 2.0)", [1, 2]),
        ("bits.and(-1, 255)", 255),
        ("bits.negate(-1)", 0),
        ("bits.rsh(-8, 1)", -4),
        ("bits.lsh(1, 100)", 1 << 100),
        ("bits.xor(-1, 1)", -2),
        ("18446744073709551616 + 1", 18446744073709551617),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("numbers.range(1, 1.5)", "whole number"),
        ("numbers.range(1, 200000)", "more than"),
        ("numbers.range_step(1, 5, 0)", "positive"),
        ("numbers.range_step(1, 5, -1)", "positive"),
        ("bits.lsh(1, -1)", "between 0 and"),
        ("bits.lsh(1, 100000)", "between 0 and"),
        ("bits.and(1, 1.5)", "whole number"),
        ('abs("1")', "must be number"),
        ("round(null)", "must be number"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
