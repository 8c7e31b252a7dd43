from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('semver.is_valid("1.2.3-a.1+b.2")', True),
        ("semver.is_valid(1)", False),
        ('semver.is_valid("1.02.3")', False),
        ('semver.is_valid("v1.2.3")', False),
        ('semver.is_valid("1.2.3-01")', False),
        ('semver.is_valid("1.2.3-a..b")', False),
        ('semver.compare("1.0.0", "1.0.0+build")', 0),
        ('semver.compare("1.0.0-alpha", "1.0.0")', -1),
        ('semver.compare("1.0.0-alpha.1", "1.0.0-alpha.beta")', -1),
        ('semver.compare("1.0.0-alpha.beta", "1.0.0-alpha")', 1),
        ('semver.compare("1.0.0-2", "1.0.0-10")', -1),
        ('semver.compare("10.0.0", "9.9.9")', 1),
        ('rand.intn("a", 0)', 0),
        ('rand.intn("a", -1)', 0),
        ('rand.intn("a", 5) == rand.intn("a", 5)', True),
        (
            "count({rand.intn(format_int(i, 10), 1000000) | some i in numbers.range(1, 20)}) > 10",
            True,
        ),
        ('uuid.rfc4122("a") == uuid.rfc4122("a")', True),
        ('uuid.rfc4122("a") == uuid.rfc4122("b")', False),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('semver.compare("1", "1.0.0")', "is no semantic version"),
        ('semver.compare("1.0.0", 1)', "must be string"),
        ("rand.intn(1, 1)", "must be string"),
        ('rand.intn("a", 1.5)', "whole number"),
        ("uuid.rfc4122(1)", "must be string"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
