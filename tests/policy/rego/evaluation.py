"""Evaluating modules and expressions in tests."""

from __future__ import annotations

from typing import Any

from octelium.policy.rego.needed import UNDEFINED
from octelium.policy.rego.program import Program
from octelium.policy.rego.values import Meter

NOW = 1_800_000_000_000_000_000
"""Nanoseconds: 2027-01-15T08:00:00Z."""

CONDITION = "package octelium.condition\n"


def result(text: str, document: Any = None, *, steps: int = 2_000_000) -> Any:
    """What `match` of a module with these rules comes to; `UNDEFINED` stands for itself."""
    program = Program(CONDITION + text, "octelium.condition", "match")
    return program.evaluate({} if document is None else document, Meter(steps, NOW))


def value(expression: str, document: Any = None) -> Any:
    """What an expression comes to."""
    return result(f"match := x if x := {expression}", document)


def holds(body: str, document: Any = None) -> bool:
    """Whether a body holds."""
    found = result(f"match if {{ {body} }}", document)
    assert found is True or found is UNDEFINED
    return found is True
