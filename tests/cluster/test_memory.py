from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.memory import EVERY, give_back, trim

if TYPE_CHECKING:
    from collections.abc import Sequence


async def given(shares: Sequence[float]) -> list[int]:
    """In which turns memory is given back, by the share of a core that is used before each."""
    turns, cpu = 0, 100.0
    found: list[int] = []

    async def sleep(seconds: float) -> None:
        nonlocal turns, cpu
        assert seconds == EVERY
        if turns == len(shares):
            raise asyncio.CancelledError
        cpu += shares[turns] * EVERY
        turns += 1

    def give() -> None:
        nonlocal cpu
        cpu += 5.0  # what that takes makes nobody busy
        found.append(turns - 1)

    with pytest.raises(asyncio.CancelledError):
        await give_back(sleep=sleep, used=lambda: cpu, give=give)
    return found


@pytest.mark.parametrize(
    ("shares", "turns"),
    [
        ((0.0, 0.0, 0.01), [0]),  # once after the start
        ((0.9, 0.9, 0.01, 0.01, 0.01), [2]),
        ((0.01, 0.9, 0.01, 0.9, 0.06, 0.04), [0, 2, 5]),
        ((0.9, 0.2, 0.06), []),
    ],
)
async def test_memory_is_given_back_once_after_each_burst(
    shares: Sequence[float], turns: list[int]
) -> None:
    assert await given(shares) == turns


def test_what_is_free_can_be_given_back() -> None:
    trim()
