"""How an examination is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.cli import exits
from octelium.cli.formats import json_text
from octelium.cli.inert import inert

if TYPE_CHECKING:
    from octelium.cli.terminal import Terminal
    from octelium.client.doctor.checks import Examination

_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}
_OUTCOME: Final = max(map(len, _STYLES))
_MOST_NAME: Final = 48


def show(terminal: Terminal, found: Examination, output: str) -> int:
    """Show every check and the verdict; the exit code."""
    if output == "json":
        terminal.show(json_text(found.as_json()))
    else:
        terminal.show("\n".join(_lines(terminal, found)))
    return exits.OK if found.broken is None else exits.FAILED


def _lines(terminal: Terminal, found: Examination) -> list[str]:
    names = [len(inert(check.name)) for check in found.checks]
    width = min(max(names, default=0), _MOST_NAME)
    lines = []
    reasons = set()
    for check in found.checks:
        if check.outcome == "skipped":  # each reason once; the names stand below all together
            if (check.detail, check.remedy) in reasons:
                continue
            reasons.add((check.detail, check.remedy))
        outcome = terminal.style(f"{check.outcome:{_OUTCOME}}", _STYLES[check.outcome])
        lines.append(f"{outcome}  {inert(check.name):{width}}  {inert(check.detail)}")
        if check.remedy and check.outcome != "ok":
            lines.append(f"{'':{_OUTCOME + width + 4}}{inert(check.remedy)}")
    lines.append("")
    if unchecked := found.unchecked:
        lines.append(f"Not checked: {', '.join(inert(each.name) for each in unchecked)}.")
    lines.append(inert(found.verdict()))
    return lines
