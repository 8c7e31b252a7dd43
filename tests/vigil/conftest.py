from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from octelium.vigil import flow, stream
from tests.vigil.world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Upstreams have as long as they like, unless a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "_RESOLVE", 60.0)
        patch.setattr(stream, "CONNECT", 60.0)
        patch.setattr(stream, "_HANDSHAKE", 60.0)
        yield


@pytest.fixture(scope="module", autouse=True)
def names_of_nothing() -> Iterator[None]:
    """That a name below `invalid` does not exist is known at once, whoever resolves names here."""
    lookup = socket.getaddrinfo

    def find(host: Any, *arguments: Any, **options: Any) -> object:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", find)
        yield


@pytest.fixture
async def here() -> AsyncIterator[World]:
    """A world with one Service before one upstream."""
    async with world() as made:
        made.serve()
        yield made
