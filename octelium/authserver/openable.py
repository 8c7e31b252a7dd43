"""Which Services somebody may open, as decisions would come out; others find that out."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.schema.pb import core_v1_pb2 as core


class Openness(Enum):
    """How much of a Service is open to somebody."""

    OPEN = "open"
    DEPENDS = "depends"
    """On the request, or on what is not known of it."""


class Openable(Protocol):
    """Finds out what Policies let a Session open."""

    async def services(
        self, user: core.User, session: core.Session
    ) -> Mapping[str, Openness] | None:
        """Names of Services of which at least a part is open; None if that cannot be told now."""

    def entrances(self, session: core.Session) -> Mapping[str, str]:
        """A path that may be opened, by the name of the Service, where `/` may not.

        Those that are known of Services that were found to be open in part.
        """
