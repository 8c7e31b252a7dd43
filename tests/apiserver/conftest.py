"""The harness as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.apiserver.harness import Harness, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Harness]:
    async with running(tmp_path) as harness:
        yield harness
