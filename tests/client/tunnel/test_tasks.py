from __future__ import annotations

import asyncio
import logging

import pytest

from octelium.client.tunnel.tasks import begin


async def test_the_caller_gets_the_outcome_and_the_log_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def works() -> int:
        return 3

    async def fails() -> int:
        raise ValueError("on purpose")

    with caplog.at_level(logging.DEBUG, logger="octelium"):
        assert await begin(works(), name="works") == 3
        with pytest.raises(ValueError, match="on purpose"):
            await begin(fails(), name="fails")
        nobody = begin(fails(), name="nobody waits")
        await asyncio.wait((nobody,))
    assert not caplog.records
