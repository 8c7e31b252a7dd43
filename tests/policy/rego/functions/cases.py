"""Tables of expressions: what they come to, or why they come to nothing."""

from __future__ import annotations

import pytest

from octelium.policy.rego.needed import RegoError
from tests.policy.rego.evaluation import value


def check(expression: str, expected: object) -> None:
    """What an expression comes to; types count, too."""
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)


def refuse(expression: str, problem: str) -> None:
    """An expression comes to an error."""
    with pytest.raises(RegoError, match=problem):
        value(expression)
