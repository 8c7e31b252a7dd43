"""Short forms for tests of single expressions."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.program import evaluate_once
from octelium.policy.cel.values import normalized


def value(text: str, check: bool = True, now: float | None = None, **variables: Any) -> Any:
    """What `text` evaluates to; variables hold JSON data."""
    given = {name: normalized(item) for name, item in variables.items()}
    return evaluate_once(text, given, check=check, now=now)


def failure(text: str, check: bool = True, **variables: Any) -> str:
    """The error that evaluating `text` ends in."""
    with pytest.raises(EvaluationError) as caught:
        value(text, check, **variables)
    return str(caught.value)
