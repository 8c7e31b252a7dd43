"""Names of the private network on this host: who makes them known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class NameService(Protocol):
    """Has names of a Cluster looked up at its name servers, and all others where they were."""

    async def start(self, device: str, servers: Sequence[str], domains: Sequence[str]) -> str:
        """Begin, or go on with other servers. What was done, for people.

        Args:
            device: of the tunnel; empty if this host's resolver is to be left alone.
            servers: addresses of name servers within the tunnel.
            domains: the Cluster's own, such as `local.example.com`.

        Raises:
            OSError: it cannot be; names are as before.
        """

    async def stop(self) -> None:
        """Have everything as it was. May be called again."""


class NoNames:
    """A `NameService` that changes nothing. `told` is what it says of that."""

    def __init__(self, told: str = "") -> None:
        self._told = told

    async def start(
        self,
        device: str,  # noqa: ARG002
        servers: Sequence[str],  # noqa: ARG002
        domains: Sequence[str],  # noqa: ARG002
    ) -> str:
        """Change nothing."""
        return self._told

    async def stop(self) -> None:
        """Nothing was changed."""
