from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('sprintf("", [])', ""),
        ('sprintf("%%", [])', "%"),
        ('sprintf("%s", ["a"])', "a"),
        ('sprintf("%v|%v|%v", [1, 1.5, "a"])', "1|1.5|a"),
        ('sprintf("%v", [[1, "a", null, true]])', '[1, "a", null, true]'),
        ('sprintf("%v", [{"b": {2, 1}, "a": set()}])', '{"a": set(), "b": {1, 2}}'),
        ('sprintf("%s", [true])', "true"),
        ('sprintf("%s", [null])', "null"),
        ('sprintf("%5d|%-5d|%05d|%+d|% d", [42, 42, 42, 42, 42])', "   42|42   |00042|+42| 42"),
        ('sprintf("%05d", [-42])', "-0042"),
        ('sprintf("%x|%X|%#x|%o|%b", [255, 255, 255, 8, 5])', "ff|FF|0xff|10|101"),
        ('sprintf("%x", ["hi"])', "6869"),
        ('sprintf("%c|%U|%q", [65, 65, 65])', "A|U+0041|'A'"),
        ('sprintf("%q", ["a\\"b"])', '"a\\"b"'),
        ('sprintf("%.2s|%5s|%-5s|", ["abc", "a", "b"])', "ab|    a|b    |"),
        (
            'sprintf("%f|%.2f|%8.2f|%e", [1.5, 1.005, 3.14159, 12345.678])',
            "1.500000|1.00|    3.14|1.234568e+04",
        ),
        (
            'sprintf("%g|%v|%v|%v", [100000.5, 1e20, 1e21, 1.5e-7])',
            "100000.5|100000000000000000000|1e+21|1.5e-07",
        ),
        ('sprintf("%d", [3.0])', "3"),
        ('sprintf("%d", [1.5])', "%!d(float64=1.5)"),
        ('sprintf("%d", ["a"])', "%!d(string=a)"),
        ('sprintf("%s", [1])', "%!s(int=1)"),
        ('sprintf("%t", [true])', "%!t(string=true)"),
        ('sprintf("%z", [1])', "%!z(int=1)"),
        ('sprintf("%s %s", ["a"])', "a %!s(MISSING)"),
        ('sprintf("a", [1, "b"])', "a%!(EXTRA int=1, string=b)"),
        ('sprintf("%", [])', "%!(NOVERB)"),
        ('sprintf("%.3d", [5])', "005"),
        ('sprintf("%d", [123456789012345678901234567890])', "123456789012345678901234567890"),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sprintf(1, [])", "argument 1 must be string"),
        ('sprintf("", 1)', "argument 2 must be array"),
        ('sprintf("", {1})', "argument 2 must be array"),
        ('sprintf("%1001d", [1])', "width or precision"),
        ('sprintf("%.1001f", [1.5])', "width or precision"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
