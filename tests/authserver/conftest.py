from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.authserver.browser import Host, open_host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(name="host")
async def host_fixture(tmp_path: Path) -> AsyncIterator[Host]:
    async with open_host(tmp_path) as host:
        yield host
