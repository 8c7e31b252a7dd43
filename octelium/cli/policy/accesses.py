"""Which Users may open which Services, as tables and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from octelium.cli.formats import json_text, output_option, yaml_text
from octelium.cli.inert import inert
from octelium.cli.policy.folding import folded
from octelium.cli.words import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octelium.cli.terminal import Terminal
    from octelium.schema.pb import ext_v1_pb2 as ext

VERDICTS: Final = ("allowed", "refused", "depends")
_SYSTEM: Final = ("default.default", "portal.default")
_SYSTEM_NAMESPACES: Final = ("octelium", "octelium-api")
_COLOURS: Final = {"allowed": "green", "refused": "red", "depends": "yellow"}


def listing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `who` and `what`."""
    verdict = click.option(
        "--verdict",
        "verdicts",
        metavar="|".join(VERDICTS),
        multiple=True,
        callback=_verdicts,
        help="Only these; repeatable.",
    )
    return verdict(output_option("table", "json", "yaml", "name", default="table")(function))


def verdict_of(access: ext.Access) -> str:
    """One of `VERDICTS`, or `unknown`."""
    from octelium.schema.pb import ext_v1_pb2 as ext

    known = ext.AccessVerdict__.AccessVerdict.DESCRIPTOR.values_by_number.get(access.verdict)
    name = known.name.lower() if known is not None else ""
    return name if name in VERDICTS else "unknown"


def show_accesses(
    terminal: Terminal,
    accesses: Iterable[ext.Access],
    subject: str,
    verdicts: Sequence[str],
    output: str,
    *,
    briefly: bool = False,
) -> None:
    """Write what `who` (`subject` is `user`) or `what` (`service`) found.

    `briefly`: in a table, the Cluster's own Services stand in one line below the others.
    """
    kept = [access for access in accesses if not verdicts or verdict_of(access) in verdicts]
    if output in ("json", "yaml"):
        form = [plain_access(access) for access in kept]
        terminal.show(json_text(form) if output == "json" else yaml_text(form))
    elif output == "name":
        # A User may stand there with several Sessions.
        for name in dict.fromkeys(getattr(access, subject) for access in kept):
            terminal.show(f"{subject}/{inert(name)}")
    elif kept:
        system = [access for access in kept if briefly and is_system(access.service)]
        own = [access for access in kept if not (briefly and is_system(access.service))]
        if own:
            _show_table(terminal, own, subject)
        if system:
            names = [f"{subject_of(one, subject)} {verdict_of(one)}" for one in system]
            text = f"The Cluster's own Services (--system tells why): {', '.join(names)}"
            for row in folded(text, terminal.columns(), 0, 2):
                terminal.show(terminal.style(row, "dim"))


def is_system(service: str) -> bool:
    """Whether a Service is one of the Cluster's own, by its full name."""
    return service in _SYSTEM or service.partition(".")[2] in _SYSTEM_NAMESPACES


def plain_access(access: ext.Access) -> dict[str, Any]:
    """One pair as plain data."""
    return {
        "user": access.user,
        **({"session": access.session} if access.session else {}),
        "service": access.service,
        "verdict": verdict_of(access),
        "why": access.why,
        **({"dependsOn": list(access.depends_on)} if access.depends_on else {}),
    }


def subject_of(access: ext.Access, subject: str) -> str:
    """The User's or the Service's name, and which existing Session it is about, if any."""
    name = inert(getattr(access, subject))
    return f"{name} (Session {inert(access.session)})" if access.session else name


def conditions(word: str, texts: Sequence[str]) -> list[str]:
    """What must be true of a request, all together, one condition a line; not inert."""
    return [f"{'and' if index else word} {text}" for index, text in enumerate(texts)]


def styled_verdict(terminal: Terminal, word: str) -> str:
    """A verdict in its colour."""
    return terminal.style(word, _COLOURS[word]) if word in _COLOURS else word


def _show_table(terminal: Terminal, accesses: Sequence[ext.Access], subject: str) -> None:
    from octelium.cli.table import line, widest, width

    columns = terminal.columns()
    names = [subject_of(access, subject) for access in accesses]
    widths = [widest([subject, *names]), widest(VERDICTS)]
    margin = sum(widths) + 4
    # Long names would leave the reasons a narrow strip: then they stand below.
    stacked = columns is not None and margin > columns // 3
    heads = [subject.upper(), "VERDICT", *([] if stacked else ["WHY"])]
    terminal.show(terminal.style(line(heads, [*widths, 3][: len(heads)]), "bold"))
    for name, access in zip(names, accesses, strict=True):
        word = verdict_of(access)
        head = line([name, word], widths)
        shown = head.removesuffix(word) + styled_verdict(terminal, word)
        indent = 4 if stacked else margin
        rows = folded(access.why or "-", columns, indent, 0)
        for text in conditions("if", access.depends_on):
            rows += [terminal.style(row, "cyan") for row in folded(text, columns, indent, 4)]
        if not stacked:
            shown += " " * (margin - width(head)) + rows.pop(0)
        terminal.show(shown)
        for row in rows:
            terminal.show(f"{'':{indent}}{row}")


def _verdicts(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    words = tuple(word.lower() for word in each(ctx, parameter, values))
    for word in words:
        if word not in VERDICTS:
            raise click.BadParameter(f"{word!r} is none of {', '.join(VERDICTS)}")
    return words
