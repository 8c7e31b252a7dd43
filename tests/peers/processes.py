"""Processes that a process started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children(parent: int, name: str) -> list[int]:
    """Those called `name`, of the process itself or of its descendants."""
    found = []
    for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if Path(f"/proc/{number}/comm").read_text().strip() == name:
                found.append(int(number))
            found += children(int(number), name)
    return found
