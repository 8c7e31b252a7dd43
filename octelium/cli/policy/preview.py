"""What an apply would change in who may open what, told before it happens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from octelium.cli.inert import inert
from octelium.cli.policy.accesses import conditions, is_system, subject_of, verdict_of
from octelium.cli.policy.folding import folded
from octelium.cli.table import line, widest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octelium.cli.invocation import Invocation
    from octelium.cli.terminal import Terminal
    from octelium.schema.documents import Document
    from octelium.schema.pb import ext_v1_pb2 as ext

LOGGED: Final = 1000
_API: Final = "default.octelium-api"
"""The Service of the Cluster's API: with all of it one may change everything."""
_MARKS: Final = {"+": "green", "-": "red", "~": "yellow"}


def ask(response: ext.PreviewAccessResponse) -> bool:
    """Whether the person at the terminal wants these changes; no question if there are none."""
    if not changes_access(response):
        return True
    return bool(click.confirm("Apply this?", default=False, err=True))


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def logged_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--logged`."""
    return click.option(
        "--logged",
        type=click.IntRange(0),
        metavar="N",
        default=LOGGED,
        help=f"Decide so many logged requests again [default: {LOGGED}].",
    )(function)


def fetch_preview(
    invocation: Invocation,
    documents: Sequence[Document],
    pruned: Sequence[str],
    logged: int,
    *,
    prune_builtin: bool = False,
) -> ext.PreviewAccessResponse:
    """Ask the Cluster what applying the documents would change.

    Raises InvalidDocuments for refused documents, ApiError.
    """
    from octelium.cli.applying import placed_error
    from octelium.client.errors import ApiError
    from octelium.client.insight import preview_access

    messages = [document.message for document in documents]
    try:
        return preview_access(
            invocation.client.api.ext,
            messages,
            prune_kinds=pruned,
            prune_builtin=prune_builtin,
            logged_requests=logged,
        )
    except ApiError as error:
        raise placed_error(error, documents) from error


def changes_access(response: ext.PreviewAccessResponse) -> bool:
    """Whether anybody could, or might, do anything else afterwards."""
    return bool(response.changes or response.logged or response.undecided)


def show_preview(terminal: Terminal, response: ext.PreviewAccessResponse) -> None:
    """Write the preview as what was asked for."""
    for row in preview_lines(response, terminal.style, terminal.columns()):
        terminal.show(row)


def preview_lines(
    response: ext.PreviewAccessResponse, style: Callable[..., str], columns: int | None
) -> list[str]:
    """The preview as text. `style` colours a text; lines are folded to `columns`, if given."""
    page = _Page(style, columns)
    page.head(f"Access that changes ({len(response.changes)} of {response.pairs} pairs)")
    page.pairs(response.changes)
    if response.logged_requests or response.logged:
        count = sum(change.count for change in response.logged)
        page.lines.append("")
        page.head(f"Logged requests decided otherwise ({count} of {response.logged_requests})")
        page.logged(response.logged)
    if response.undecided:
        page.add(f"{response.undecided} more may be decided otherwise, by what the log lacks.", 0)
    if response.notes:
        page.lines.append("")
    for note in response.notes:
        page.add(note, 0, "dim")
    return page.lines


class _Page:
    """Lines that are being written."""

    def __init__(self, style: Callable[..., str], columns: int | None) -> None:
        self.style = style
        self.columns = columns
        self.lines: list[str] = []

    def head(self, text: str) -> None:
        self.lines.append(self.style(text, "bold"))

    def add(self, text: str, indent: int, *styles: str) -> None:
        for row in folded(text, self.columns, indent):
            self.lines.append(f"{'':{indent}}{self.style(row, *styles) if styles else row}")

    def pairs(self, changes: Sequence[ext.AccessChange]) -> None:
        """Pairs of User and Service with why and when below; those that agree in it together."""
        if not changes:
            self.add("none", 2)
            return
        rows = [_row(change) for change in changes]
        for user in dict.fromkeys(row.user for row in rows if row.administers):
            self.add(f"! {user} may administer the Cluster then", 0, "red", "bold")
        groups: dict[_Reason, list[_Row]] = {}
        # Who gets all of the API must not drown in the rest, nor the rest in the long conditions of
        # the Cluster's own Services.
        for row in sorted(rows, key=_order):
            groups.setdefault(row.reason, []).append(row)
        gathered = [(reason, _gathered(group)) for reason, group in groups.items()]
        short = [cells for _, several in gathered for cells in several if _is_pair(cells)]
        widths = [widest([cells[column] for cells in short] or [""]) for column in range(2)]
        for reason, several in gathered:
            colour = _MARKS[reason.mark]
            for cells in several:
                if _is_pair(cells):
                    text = f"{reason.mark} {line([*cells, reason.verdicts], [*widths, 0])}"
                    self.lines.append(self.style(text, colour))
                else:
                    users, services = cells
                    self.add(f"{reason.mark} {users}  {services}  {reason.verdicts}", 0, colour)
            if reason.why:
                self.add(reason.why, 4)
            for text in (*reason.before, *reason.after):
                self.add(text, 4, "cyan")

    def logged(self, changes: Sequence[ext.LoggedChange]) -> None:
        """Requests of the log, equal ones together."""
        if not changes:
            self.add("none", 2)
        for change in changes:
            mark = "+" if change.allowed_after else "-"
            what = f"{change.method} {change.path}".strip() or "a stream"
            times = f" ({change.count} times)" if change.count > 1 else ""
            text = f"{mark} {change.user or 'anonymous'}  {change.service}  {what}{times}"
            self.lines.append(self.style(inert(text), _MARKS[mark]))
            verdict = "would be allowed" if change.allowed_after else "would be refused"
            self.add(f"{verdict}: {change.why}" if change.why else verdict, 4)


class _Reason(NamedTuple):
    """What is told of a pair beside its names."""

    mark: str
    verdicts: str
    why: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class _Row(NamedTuple):
    """One pair whose access changes. The names are inert."""

    user: str
    service: str
    reason: _Reason
    administers: bool
    """Whether any request to the Cluster's API is allowed that was not before."""


def _order(row: _Row) -> int:
    """Where a pair stands: who gets all of the API first, the Cluster's own Services last."""
    return 0 if row.administers else 2 if is_system(row.service) else 1


def _row(change: ext.AccessChange) -> _Row:
    before = verdict_of(change.before) if change.HasField("before") else "none"
    after = verdict_of(change.after) if change.HasField("after") else "none"
    either = change.after if change.HasField("after") else change.before
    reason = _Reason(
        _mark(before, after),
        f"{before} → {after}",
        change.after.why or change.before.why,
        tuple(conditions("before, if", change.before.depends_on)),
        tuple(conditions("after, if", change.after.depends_on)),
    )
    administers = either.service == _API and after == "allowed"
    return _Row(subject_of(either, "user"), inert(either.service), reason, administers)


def _gathered(rows: Iterable[_Row]) -> list[tuple[str, str]]:
    """Users and Services of some pairs: Users with the same Services in one item."""
    services: dict[str, list[str]] = {}
    for row in rows:
        services.setdefault(row.user, []).append(row.service)
    users: dict[tuple[str, ...], list[str]] = {}
    for user, its in services.items():
        users.setdefault(tuple(its), []).append(user)
    return [(", ".join(several), ", ".join(its)) for its, several in users.items()]


def _is_pair(cells: tuple[str, str]) -> bool:
    """Whether it is one User and one Service, which go into columns."""
    return not any("," in cell for cell in cells)


def _mark(before: str, after: str) -> str:
    """Whether more, less, or something else is possible."""
    order = {"none": 0, "refused": 0, "depends": 1, "allowed": 2}
    difference = order.get(after, 1) - order.get(before, 1)
    return "+" if difference > 0 else "-" if difference < 0 else "~"
