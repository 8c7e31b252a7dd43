"""What an apply would change in who may open what, told before it happens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from octelium.cli.inert import inert
from octelium.cli.policy.accesses import conditions, subject_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.cli.invocation import Invocation
    from octelium.schema.documents import Document
    from octelium.schema.pb import ext_v1_pb2 as ext

LOGGED: Final = 1000
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
            invocation.client.api.ext, messages, prune_kinds=pruned, logged_requests=logged
        )
    except ApiError as error:
        raise placed_error(error, documents) from error


def changes_access(response: ext.PreviewAccessResponse) -> bool:
    """Whether anybody could do anything else afterwards."""
    return bool(response.changes or response.logged)


def preview_lines(response: ext.PreviewAccessResponse, style: Callable[..., str]) -> list[str]:
    """The preview as text. `style` colours a text for where it is shown."""
    lines = [
        style(f"Access that changes ({len(response.changes)} of {response.pairs} pairs)", "bold")
    ]
    lines += _pairs(response.changes, style)
    if response.logged_requests or response.logged:
        count = sum(change.count for change in response.logged)
        title = f"Logged requests decided otherwise ({count} of {response.logged_requests})"
        lines += ["", style(title, "bold"), *_logged(response.logged, style)]
    if response.undecided:
        lines.append(
            f"{response.undecided} logged requests may be decided otherwise, by what the log does "
            "not hold"
        )
    return [*lines, *map(inert, response.notes)]


def _pairs(changes: Sequence[ext.AccessChange], style: Callable[..., str]) -> list[str]:
    rows = []
    for change in changes:
        before = verdict_of(change.before) if change.HasField("before") else "none"
        after = verdict_of(change.after) if change.HasField("after") else "none"
        either = change.after if change.HasField("after") else change.before
        mark = _mark(before, after)
        rows.append(
            (
                mark,
                subject_of(either, "user"),
                either.service,
                f"{before} → {after}",
                either.why,
                change,
            )
        )
    if not rows:
        return ["  none"]
    widths = [max(len(inert(str(row[column]))) for row in rows) for column in (1, 2, 3)]
    lines = []
    for mark, user, service, verdicts, why, change in rows:
        cells = [
            f"{inert(text):{size}}"
            for text, size in zip((user, service, verdicts), widths, strict=True)
        ]
        lines.append(style(f"{mark} {'  '.join(cells)}", _MARKS[mark]) + f"  {inert(why)}".rstrip())
        lines += [
            style(f"    {text}", "dim")
            for access, word in ((change.before, "before, if"), (change.after, "after, if"))
            for text in conditions(word, access.depends_on)
        ]
    return lines


def _logged(changes: Sequence[ext.LoggedChange], style: Callable[..., str]) -> list[str]:
    if not changes:
        return ["  none"]
    lines = []
    for change in changes:
        mark = "+" if change.allowed_after else "-"
        what = f"{change.method} {change.path}".strip() or "a stream"
        verdict = "would be allowed" if change.allowed_after else "would be refused"
        times = f" ({change.count} times)" if change.count > 1 else ""
        text = f"{mark} {change.user or 'anonymous'}  {change.service}  {what}{times}"
        lines.append(f"{style(inert(text), _MARKS[mark])}  {verdict}: {inert(change.why)}")
    return lines


def _mark(before: str, after: str) -> str:
    """Whether more, less, or something else is possible."""
    order = {"none": 0, "refused": 0, "depends": 1, "allowed": 2}
    difference = order.get(after, 1) - order.get(before, 1)
    return "+" if difference > 0 else "-" if difference < 0 else "~"
