"""What each kind of traffic may take of a process' open files, so that none takes them from all.

A connection takes two files: its own and its upstream's. One that stands still with bytes under
way holds a pipe of two more. What the private network cannot take is left to the front door, by
which everybody signs in.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from typing import Final

MOST_CONNECTIONS: Final = 16_384
MOST_STUCK: Final = 1024
MOST_FLOWS: Final = 4096
_LEAST: Final = 16
"""Of a share, however few files there are."""
_OWN: Final = 256
"""Files of the process itself."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Numbers of connections, of streams that stand still, and of flows of datagrams."""

    front: int
    """Connections of the front door."""
    private: int
    """Connections of the private network: of all, of one User, and of one Session."""
    each_user: int
    each_session: int
    stuck: int
    """Directions of streams that stand still with bytes under way, of all and of one User."""
    stuck_each_user: int
    flows: int
    """Flows of datagrams, of all and of one Session."""
    flows_each_session: int

    @classmethod
    def of(cls, files: int) -> Shares:
        """Those of a process that may open so many files (RLIMIT_NOFILE, getrlimit(2))."""
        private = _share(files * 3 // 16, MOST_CONNECTIONS)
        stuck = _share(files // 20, MOST_STUCK)
        flows = _share(files // 16, MOST_FLOWS)
        return cls(
            front=max(_LEAST, files - 2 * (private + stuck + flows) - _OWN),
            private=private,
            each_user=max(_LEAST, private // 6),
            each_session=max(_LEAST, private // 12),
            stuck=stuck,
            stuck_each_user=max(_LEAST, stuck // 4),
            flows=flows,
            flows_each_session=max(_LEAST, flows // 4),
        )


def open_files() -> int:
    """How many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _share(of_files: int, most: int) -> int:
    return min(max(of_files, _LEAST), most)
