"""The world as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.apiserver.lasting.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world
