from __future__ import annotations

import asyncio
import signal

import pytest

from octelium.cluster.signals import stop_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_the_event_and_handlers_go_with_the_block(number: int) -> None:
    async with stop_signals() as stopped:
        assert not stopped.is_set()
        signal.raise_signal(number)
        async with asyncio.timeout(60):
            await stopped.wait()
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
