"""A store in a fresh directory, and resources over it with a clock that tests turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from tests.store.samples import Clock, vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def resources(store: SqliteStore, clock: Clock) -> AsyncIterator[Resources]:
    resources = Resources(store, vault(), clock)
    await resources.load()
    yield resources
    await resources.close()
