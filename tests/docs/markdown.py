"""The fenced blocks of a Markdown document, and what the comments before them say.

A comment stands on the lines right before a fence:

- `<!-- not-run: REASON -->`: the tests do not run it;
- `<!-- on: HOST -->`: it runs on another host than the rest of the document;
- `<!-- exit: CODE -->`: its commands end so;
- `<!-- background: TEXT -->`: it goes on while the following blocks run, once it has said that;
- `<!-- take: WORD = PATTERN -->`: what the pattern's group finds in its output stands for WORD in
  later blocks of the document, as a reader would put it there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

SHELL = "sh"
LANGUAGES = (SHELL, "yaml", "text", "cel", "rego", "python", "json")
"""What a block may be. `text` is the output of the commands before it."""
_COMMENT = re.compile(r"<!-- ([a-z-]+): (.*) -->")
_FENCE = re.compile(r"```([a-z]*)")
_HERE = re.compile(r"<<'(\w+)'")
_FILE = re.compile(r"# (\S+\.(?:yaml|rego|py|json))")


class DocumentError(Exception):
    """A document that the tests could not run as it is meant; the text says where."""


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: Path
    line: int
    language: str
    text: str
    said: dict[str, str]
    """The comments before it."""

    @property
    def place(self) -> str:
        """`docs/install.md:12`."""
        parent = self.document.parent.name
        folder = f"{parent}/" if parent == "docs" else ""
        return f"{folder}{self.document.name}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why the tests do not run it; empty if they do."""
        return self.said.get("not-run", "")

    @property
    def file(self) -> str:
        """The file that it is the content of, by the comment in its first line."""
        match = _FILE.match(self.text)
        return match[1] if match else ""

    @property
    def commands(self) -> list[str]:
        """The command lines of a shell block, without comments and what stdin is given."""
        found = []
        until = ""
        for line in self.text.replace("\\\n", " ").splitlines():
            if until:
                until = "" if line == until else until
                continue
            if line.strip() and not line.startswith("#"):
                found.append(line)
            if match := _HERE.search(line):
                until = match[1]
        return found


def documents() -> list[Path]:
    """All that is run."""
    return [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def blocks(document: Path) -> list[Block]:
    """The blocks in their order. Raises DocumentError."""
    return list(_blocks(document, document.read_text(encoding="utf-8").splitlines()))


def _blocks(document: Path, lines: list[str]) -> Iterator[Block]:
    said: dict[str, str] = {}
    begun: tuple[int, str] | None = None
    for number, line in enumerate(lines, 1):
        if begun is not None:
            if line == "```":
                text = "\n".join(lines[begun[0] : number - 1]) + "\n"
                yield Block(document, begun[0], begun[1], text, said)
                begun, said = None, {}
            continue
        if line.lstrip().startswith("```"):
            fence = _FENCE.fullmatch(line)
            if fence is None or fence[1] not in LANGUAGES:
                raise DocumentError(f"{document.name}:{number}: a block is one of {LANGUAGES}")
            begun = (number, fence[1])
        elif match := _COMMENT.fullmatch(line):
            said[match[1]] = match[2]
        elif said:
            raise DocumentError(f"{document.name}:{number}: a comment is right before its block")
    if begun is not None or said:
        raise DocumentError(f"{document.name}: ends within a block")
