"""What control last heard of the other processes: whether they are there and do their work."""

from __future__ import annotations

import time
from dataclasses import dataclass

GATEWAY = "gateway"
"""The gateway's name among the feed's followers."""
SILENT = 5.0
"""Seconds without word after which a process counts as missing."""


@dataclass(slots=True)
class GatewayState:
    """What the gateway last told, and when."""

    trouble: str = ""
    heard: float = -SILENT

    def tell(self, trouble: str) -> None:
        """The gateway says why no traffic flows; nothing if it does."""
        self.trouble, self.heard = trouble, time.monotonic()

    def check(self, followers: list[tuple[str, int]]) -> str:
        """Empty while traffic flows. `followers` are those of the feed."""
        if all(name != GATEWAY for name, _ in followers):
            self.heard = -SILENT  # what it said before is not said of the next one
            return "the gateway is not connected"
        if self.heard < time.monotonic() - SILENT:
            return "the gateway is silent"
        return self.trouble


@dataclass(slots=True)
class WorkerStates:
    """When each worker was last heard of."""

    heard: dict[str, float]
    expected: int

    def trouble(self) -> str:
        """Empty when all workers follow."""
        since = time.monotonic() - SILENT
        alive = sum(moment > since for moment in self.heard.values())
        if alive >= self.expected:
            return ""
        return f"{alive} of {self.expected} workers are connected"
