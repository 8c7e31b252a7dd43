from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('crypto.md5("")', "d41d8cd98f00b204e9800998ecf8427e"),
        ('crypto.sha1("ñ")', "c94bcf8c2a99decd9ede6a0a0fc681362c202fc3"),
        ('crypto.hmac.equal("a", "b")', False),
        ('crypto.hmac.equal("ñ", "ñ")', True),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("crypto.md5(1)", "must be string"),
        ('crypto.hmac.sha256("a", 1)', "argument 2"),
        ('crypto.hmac.equal(1, "a")', "argument 1"),
        ("crypto.sha256(null)", "must be string"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
