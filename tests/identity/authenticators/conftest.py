from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.identity.authenticators.people import People, open_people

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(name="people")
async def people_fixture(tmp_path: Path) -> AsyncIterator[People]:
    async with open_people(tmp_path) as people:
        yield people
