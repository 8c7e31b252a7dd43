from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vigil.world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def here() -> AsyncIterator[World]:
    """A world with one Service before one upstream."""
    async with world() as made:
        made.serve()
        yield made
