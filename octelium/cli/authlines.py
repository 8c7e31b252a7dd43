"""Entries of the authentication log as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.ages import clock_time
from octelium.cli.inert import inert
from octelium.cli.table import line, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.cli.terminal import Terminal
    from octelium.schema.pb import ext_v1_pb2 as ext

HEADERS = ("TIME", "WHO", "BY", "FROM", "OUTCOME", "WHY")
_LEAST = (24, 12, 24, 12, 9, 3)
_MOST = (24, 40, 60, 45, 9, 120)
_OUTCOME = HEADERS.index("OUTCOME")


class AttemptLines:
    """Aligned columns; widths follow from the first entries, longer cells push the rest aside."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._widths: list[int] = list(_LEAST)

    def first(self, entries: Sequence[ext.AuthenticationLogEntry]) -> list[str]:
        """The header and the lines of the entries that are there."""
        rows = [cells(entry) for entry in entries]
        for column, most in enumerate(_MOST):
            longest = max((width(row[column]) for row in rows), default=0)
            self._widths[column] = min(most, max(self._widths[column], longest))
        head = self._terminal.style(line(HEADERS, self._widths), "bold")
        return [head, *(self._line(row) for row in rows)]

    def next(self, entry: ext.AuthenticationLogEntry) -> str:
        """The line of one entry."""
        return self._line(cells(entry))

    def _line(self, row: Sequence[str]) -> str:
        text = line(row, self._widths)
        colour = {"refused": "red", "failed": "yellow"}.get(row[_OUTCOME])
        return self._terminal.style(text, colour) if colour else text


def cells(entry: ext.AuthenticationLogEntry) -> tuple[str, ...]:
    """The columns of one entry; texts of whoever signs in are shown inert."""
    place = f"{entry.client_address} {entry.country}".strip()
    texts = (clock_time(entry.at), _who(entry), _way(entry), place, entry.outcome, entry.reason)
    return tuple(inert(text) or "-" for text in texts)


def _who(entry: ext.AuthenticationLogEntry) -> str:
    """The User, else what the IdentityProvider calls whoever it was, in quotation marks."""
    if entry.user.name:
        return entry.user.name
    named = entry.identifier or entry.email
    return f'"{named}"' if named else "unknown"


def _way(entry: ext.AuthenticationLogEntry) -> str:
    by = (
        entry.identity_provider.name
        or entry.authenticator.name
        or entry.credential.name
        or ("" if entry.outcome == "succeeded" else entry.session.name)
    )
    return f"{entry.way} {by}".strip()
