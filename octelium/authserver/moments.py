"""Dates and times as pages show them.

Pages have no scripts that could ask for the reader's time zone, so all are in UTC.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

_SPACE: Final = "\u00a0"
"""Keeps the parts of a date in one line."""


def moment(seconds: float) -> str:
    """A date and a time of day; `seconds` are unix seconds."""
    return _text(seconds, "%d %b %Y %H:%M UTC")


def day(seconds: float) -> str:
    """A date."""
    return _text(seconds, "%d %b %Y")


def _text(seconds: float, form: str) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime(form).replace(" ", _SPACE)
