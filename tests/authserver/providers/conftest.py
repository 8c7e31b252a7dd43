from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.authserver.providers.world import World
from tests.identity.cluster import Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


@pytest_asyncio.fixture(name="world")
async def world_fixture(cluster: Cluster) -> World:
    return World(cluster)
