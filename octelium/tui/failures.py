"""What can go wrong with a Cluster, and how it is told."""

from __future__ import annotations

from typing import Final

from octelium.client.errors import ClientError
from octelium.schema.errors import Invalid, InvalidDocuments
from octelium.tui.lines import Line, Tone, told

EXPECTED: Final = (ClientError, Invalid, InvalidDocuments)
"""What calls of `octelium.tui.data` raise."""


def told_error(error: Exception) -> str:
    """What went wrong, and what to do."""
    if isinstance(error, InvalidDocuments):
        return "; ".join(str(one) for one in error.errors)
    remedy = getattr(error, "remedy", "")
    return str(error) if not remedy or remedy in str(error) else f"{error}: {remedy}"


def reasons(error: Exception) -> list[Line]:
    """The same as lines of a page."""
    if isinstance(error, InvalidDocuments):
        return [line for one in error.errors for line in told(str(one), Tone.BAD)]
    remedy = getattr(error, "remedy", "")
    return [*told(str(error), Tone.BAD), *(told(remedy) if remedy else [])]
