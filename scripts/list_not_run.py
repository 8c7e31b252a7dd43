"""Lists the commands of docs/ and README.md that the tests do not run, with the reasons."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.docs.markdown import SHELL, Block, blocks, documents  # noqa: E402


def counted() -> tuple[int, list[Block]]:
    """How many command lines are run, and the blocks that are not."""
    shell = [each for file in documents() for each in blocks(file) if each.language == SHELL]
    run = sum(len(each.commands) for each in shell if not each.not_run)
    return run, [each for each in shell if each.not_run]


def table() -> str:
    """The blocks that are not run, as Markdown."""
    run, left = counted()
    number = sum(len(each.commands) for each in left)
    rows = [
        f"| {each.document.relative_to(ROOT)} | `{_cell(command)}` | {each.not_run} |"
        for each in left
        for command in each.commands
    ]
    return "\n".join(
        [
            f"The tests run {run} command lines of these documents, and leave out {number}:",
            "",
            "| document | command | why it is not run |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _cell(command: str) -> str:
    """A command as a cell of a table, its comment left out."""
    return " ".join(command.partition("  #")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    print(table())
