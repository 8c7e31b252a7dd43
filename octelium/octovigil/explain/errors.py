"""What can go wrong with an explanation."""

from __future__ import annotations


class ExplanationError(Exception):
    """The explanation and the decision disagree. It must not be shown; the text is for the log."""
