from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from octelium.http.tasks import spawn

if TYPE_CHECKING:
    import pytest


async def test_a_task_is_kept_alive_until_it_ends() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    spawn(work(), name="work")
    gc.collect()
    await asyncio.wait_for(done.wait(), 60)


async def test_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    task = spawn(fail(), name="the failing one")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert "the failing one" in caplog.text
    assert "a bug" in caplog.text


async def test_a_cancelled_task_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    task = spawn(asyncio.sleep(60), name="sleeper")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert caplog.text == ""
