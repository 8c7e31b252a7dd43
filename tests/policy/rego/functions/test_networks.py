from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('net.cidr_contains("10.0.0.0/8", "11.0.0.1")', False),
        ('net.cidr_contains("10.1.2.3/8", "10.9.9.9")', True),
        ('net.cidr_contains("10.0.0.0/8", "10.1.0.0/16")', True),
        ('net.cidr_contains("10.1.0.0/16", "10.0.0.0/8")', False),
        ('net.cidr_contains("fd00::/8", "fd00::1")', True),
        ('net.cidr_contains("fd00::/8", "10.0.0.1")', False),
        ('net.cidr_contains("10.0.0.0/8", "::ffff:10.0.0.1")', True),
        ('net.cidr_contains("0.0.0.0/0", "1.2.3.4")', True),
        ('net.cidr_intersects("10.0.0.0/8", "10.1.0.0/16")', True),
        ('net.cidr_intersects("10.0.0.0/8", "fd00::/8")', False),
        ('net.cidr_intersects("10.0.0.0/9", "10.128.0.0/9")', False),
        ('net.cidr_expand("10.0.0.8/30")', ["10.0.0.10", "10.0.0.11", "10.0.0.8", "10.0.0.9"]),
        ('net.cidr_expand("fd00::/127")', ["fd00::", "fd00::1"]),
        ('net.cidr_is_valid("10.0.0.0/8")', True),
        ('net.cidr_is_valid("10.0.0.0")', False),
        ("net.cidr_is_valid(1)", False),
        ('net.cidr_is_valid("10.0.0.0/08")', False),
        ('net.cidr_is_valid("fe80::%eth0/64")', False),
        ('net.cidr_is_valid("010.0.0.0/8")', False),
        ('net.cidr_is_valid("fd00::/129")', False),
        ('net.cidr_merge(["10.0.0.0/24", "10.0.1.0/24", "10.0.0.5"])', ["10.0.0.0/23"]),
        (
            'net.cidr_merge({"fd00::/65", "fd00:0:0:0:8000::/65", "10.0.0.1"})',
            ["10.0.0.1/32", "fd00::/64"],
        ),
        ("net.cidr_merge([])", []),
        (
            'net.cidr_contains_matches({"a": "10.0.0.0/8"}, ["10.0.0.1", "1.0.0.1", "10.0.0.0/9"])',
            [["a", 0], ["a", 2]],
        ),
        ('net.cidr_contains_matches([["10.0.0.0/8", "x"]], {"10.0.0.1"})', [[0, "10.0.0.1"]]),
        (
            'net.cidr_contains_matches({["10.0.0.0/8", "x"]}, "10.0.0.1")',
            [[["10.0.0.0/8", "x"], "10.0.0.1"]],
        ),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('net.cidr_contains("10.0.0.0", "10.0.0.1")', "is no network"),
        ('net.cidr_contains("10.0.0.0/8", "x")', "is no network"),
        ('net.cidr_contains(1, "x")', "must be string"),
        ('net.cidr_intersects("10.0.0.0/8", "10.0.0.1")', "is no network"),
        ('net.cidr_expand("10.0.0.0/8")', "more than"),
        ('net.cidr_merge(["x"])', "is no network"),
        ('net.cidr_merge("x")', "array or set"),
        ('net.cidr_contains_matches(1, "10.0.0.1")', "argument 1"),
        ('net.cidr_contains_matches("10.0.0.0/8", [1])', "must be string"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
