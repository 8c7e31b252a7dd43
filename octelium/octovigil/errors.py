"""Why a decision fails and therefore refuses."""

from __future__ import annotations


class DecisionError(Exception):
    """The decision cannot be made; the text is for operators."""
