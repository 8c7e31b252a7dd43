"""How long versions are kept that are no longer current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.schema.kinds import KINDS
from octelium.store.parts import OWNERS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Retention:
    """`window`: revisions that a watch can resume over, and all that is kept of what changes with
    every sign-in (Sessions, Devices, Authenticators) and of parts that are stored apart.
    `history`: seconds for everything else. `interval`: revisions between two prunings.
    """

    window: int = 4096
    history: float = 90 * 24 * 3600.0
    interval: int = 512

    def floors(self, head: int, oldest: int) -> Mapping[str, int]:
        """By kind, the revision whose state is the oldest to be kept.

        `oldest` is the last revision that is older than `history`.
        """
        window = max(head - self.window, 0)
        kinds = {
            kind: window if not KINDS[kind].declarable else min(window, oldest) for kind in KINDS
        }
        return kinds | dict.fromkeys(OWNERS, window)
