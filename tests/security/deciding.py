"""A front door on real sockets whose decision point is the real one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.octovigil.world import World
from tests.vigil.world import Reply, world
from tests.vigil.world import World as FrontDoorWorld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "wiki.example.com"


class Deciding(World):
    """The Cluster of `tests.octovigil.world`, with requests that come over the wire.

    Its Service `wiki.default` leads to an upstream that answers everything with 200.
    """

    def __init__(self, here: FrontDoorWorld, **options: Any) -> None:
        self.here = here
        here.feed.delete(here.feed.config)
        super().__init__(here.replica, **options)
        here.vigil.decider = self.octovigil

    def service(self, name: str, *, status: dict[str, Any] | None = None, **spec: Any) -> None:
        """As before, with the upstream of this process."""
        full = {"config": {"upstream": {"url": self.here.url}}, **spec}
        super().service(name, status=status, **full)

    async def send(
        self, target: str = "/", *, session: str | None = "ann-1", **options: Any
    ) -> Reply:
        """The answer to one request that carries the Session's access token."""
        token = None if session is None else self.token(session).decode()
        return await self.here.request(target, host=HOST, token=token, **options)

    @property
    def received(self) -> int:
        """Requests that reached the upstream."""
        return len(self.here.origins.requests)


@asynccontextmanager
async def deciding(**options: Any) -> AsyncIterator[Deciding]:
    """The whole, running; `options` are those of the decision point."""
    async with world() as here:
        yield Deciding(here, **options)
