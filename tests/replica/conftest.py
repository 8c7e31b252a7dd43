"""Resources over a fresh store, and a feed of them, on the event loop of the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import uvloop

from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import FeedServer
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.replica.samples import listening, socket_path

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    resources = Resources(await SqliteStore.open(tmp_path / "data"), Vault([b"k" * 32]))
    await resources.load()
    yield resources
    await resources.close()


@pytest.fixture
def committed() -> Iterator[CommittedRevision]:
    committed = CommittedRevision.create()
    yield committed
    committed.close()


@pytest.fixture
def path() -> Iterator[Path]:
    with socket_path() as path:
        yield path


@pytest.fixture
async def server(
    resources: Resources, committed: CommittedRevision, path: Path
) -> AsyncIterator[FeedServer]:
    server = FeedServer(resources, listening(path), committed)
    server.start()
    yield server
    server.close()
