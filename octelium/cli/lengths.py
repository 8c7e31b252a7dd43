"""Lengths of time and instants as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

_UNITS = {
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hour": 3600,
    "d": 86400, "day": 86400,
    "w": 7 * 86400, "week": 7 * 86400,
    "month": 30 * 86400,
    "y": 365 * 86400, "year": 365 * 86400,
}  # fmt: skip
_PART = re.compile(r"\s*([0-9]{1,9})\s*([a-z]+)")
_LONGEST = 100 * 365 * 86400


class Length(click.ParamType[int]):
    """Such as `90s`, `2hours`, `30days`, `1week`, `1h30m`; gives seconds."""

    name = "length"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """How to call it in the help."""
        return "LENGTH"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Check a length that a command line gives."""
        if isinstance(value, int):
            return value
        seconds = parse_length(value)
        if seconds is None:
            self.fail(f"{value!r} is not a length such as 90s, 2hours, 30days or 1h30m", param, ctx)
        return seconds


class Instant(click.ParamType[datetime]):
    """A length before now, or a date with or without a time (RFC 3339; UTC if it does not say)."""

    name = "instant"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """How to call it in the help."""
        return "LENGTH|TIME"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Check an instant that a command line gives."""
        from octelium.cli.invocation import Invocation

        if isinstance(value, datetime):
            return value
        seconds = parse_length(value)
        if seconds is not None:
            now = ctx.ensure_object(Invocation).now() if ctx else datetime.now(UTC).timestamp()
            return datetime.fromtimestamp(now - seconds, UTC)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a length such as 15m nor a time", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_length(text: str) -> int | None:
    """Seconds of a length, or None if the text is none. Limited to a hundred years."""
    lowered, position, total = text.strip().lower(), 0, 0
    while position < len(lowered):
        match = _PART.match(lowered, position)
        if match is None:
            return None
        unit = match[2]
        size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if size is None:
            return None
        total += int(match[1]) * size
        position = match.end()
    return total if 0 < total <= _LONGEST else None
