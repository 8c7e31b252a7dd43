from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("to_number(null)", 0),
        ("to_number(true)", 1),
        ("to_number(false)", 0),
        ("to_number(5)", 5),
        ('to_number("-1e3")', -1000),
        ('to_number(".5")', 0.5),
        ('to_number("+7")', 7),
        ('to_number("00012")', 12),
        ("is_number(1.5)", True),
        ("is_string(null)", False),
        ("is_boolean(true)", True),
        ("is_boolean(1)", False),
        ("is_array({1})", False),
        ("is_set([])", False),
        ("is_object(set())", False),
        ("is_null(false)", False),
        ("type_name(null)", "null"),
        ("type_name(true)", "boolean"),
        ("type_name(1)", "number"),
        ("type_name(1.5)", "number"),
        ('type_name("")', "string"),
        ("type_name([])", "array"),
        ("type_name({})", "object"),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('to_number("")', "is no number"),
        ('to_number(" 1")', "is no number"),
        ('to_number("1_000")', "is no number"),
        ('to_number("inf")', "is no number"),
        ('to_number("0x10")', "is no number"),
        ('to_number("1e999")', "too large"),
        ("to_number([])", "string, number, boolean or null"),
        ('to_number(concat("", ["9" | some i in numbers.range(1, 400)]))', "is no number"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
