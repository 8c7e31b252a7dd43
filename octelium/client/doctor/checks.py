"""What was checked, what was found, and the first link that is broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One link. `detail` tells what was found, or why it was not looked at."""

    name: str
    outcome: Outcome
    detail: str
    remedy: str = ""


class Broken(Exception):  # noqa: N818  (a finding, no error of ours)
    """A link that does not hold: what is wrong, and what to do about it."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


@dataclass(slots=True)
class Examination:
    """All checks, in their order, each once. `wanted` is the Service that was named, if one was."""

    checks: list[Check] = field(default_factory=list)
    wanted: str = ""

    def ok(self, name: str, detail: str) -> None:
        """It works."""
        self.checks.append(Check(name, "ok", detail))

    def warn(self, name: str, detail: str, remedy: str) -> None:
        """It works, and something is to be known."""
        self.checks.append(Check(name, "warn", detail, remedy))

    def fail(self, name: str, detail: str, remedy: str) -> None:
        """It does not work."""
        self.checks.append(Check(name, "fail", detail, remedy))

    def skip(self, name: str, why: str, remedy: str = "") -> None:
        """It was not looked at."""
        self.checks.append(Check(name, "skipped", why, remedy))

    def skip_all(self, names: tuple[str, ...], why: str, remedy: str = "") -> None:
        """None of these that has no finding yet was looked at."""
        known = {check.name for check in self.checks}
        for name in names:
            if name not in known:
                self.skip(name, why, remedy)

    @property
    def broken(self) -> Check | None:
        """The first link that does not work."""
        return next((check for check in self.checks if check.outcome == "fail"), None)

    @property
    def unchecked(self) -> list[Check]:
        """What was not looked at."""
        return [check for check in self.checks if check.outcome == "skipped"]

    def verdict(self) -> str:
        """The result, in one plain line."""
        broken = self.broken
        if broken is not None:
            return f"The first broken link is {broken.name}: {broken.detail}. {_do(broken.remedy)}"
        for check in self.unchecked:
            if self.wanted and check.name == "service":
                told = f"What was checked works, but {self.wanted} was not: {check.detail}."
                return f"{told} {_do(check.remedy)}".rstrip()
        warnings = sum(check.outcome == "warn" for check in self.checks)
        if not warnings:
            return "Everything that was checked works."
        return f"Everything that was checked works, with {warnings} warning{'s'[: warnings > 1]}."

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        broken = self.broken
        return {
            "ok": broken is None,
            "broken": None if broken is None else broken.name,
            "verdict": self.verdict(),
            "checks": [
                {
                    "name": each.name,
                    "outcome": each.outcome,
                    "detail": each.detail,
                    "remedy": each.remedy,
                }
                for each in self.checks
            ],
        }


def _do(remedy: str) -> str:
    return f"To do: {remedy}." if remedy else ""
