"""What is likely wrong with an expression that can be compiled all the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MOST: Final = 20
"""Problems that are noted of one expression; nobody reads more at a time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that the compiler cannot see.

    `path` names the field in JSON names, `problem` says what is likely wrong there, `remedy` what
    to write instead (may be empty).
    """

    path: str
    problem: str
    remedy: str = ""


@dataclass(slots=True)
class Notes:
    """What is found while one expression is looked through."""

    problems: dict[str, str] = field(default_factory=dict)
    """Problems with their remedies."""
    blames: dict[str, str] = field(default_factory=dict)
    """Members that the place does not have, with the reasons."""

    def report(self, problem: str, remedy: str = "") -> None:
        """Note a problem, once."""
        if len(self.problems) < MOST:
            self.problems.setdefault(problem, remedy)

    def blame(self, member: str, reason: str) -> None:
        """Note a member that is never there, though others have it."""
        self.blames.setdefault(member, reason)
