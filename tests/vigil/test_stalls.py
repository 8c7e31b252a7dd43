"""Who has to go where streams stand still, by number and by what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from octelium.vigil import stalls
from octelium.vigil.splicing import Pipes
from octelium.vigil.stalls import MOST_BYTES, StallLimits, Stalls, kernel_bytes, memory
from tests.vigil.test_splicing import Joined, fill, pair, until

if TYPE_CHECKING:
    import pytest

MB = 1 << 20


class Held:
    """A direction that holds as much as it is told to."""

    def __init__(self, of: Stalls, owner: str, size: int) -> None:
        self.of = of
        self.owner = owner
        self.size = size
        self.error: OSError | None = None

    def held(self) -> int:
        return self.size

    def give_up(self, error: OSError) -> None:
        self.error = error
        self.of.release(self)


def advance(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time() + seconds
    monkeypatch.setattr(loop, "time", lambda: now)


async def test_who_holds_most_loses_the_longest_unmoved_first() -> None:
    made = Stalls(StallLimits(100, 100, 10 * MB, 5 * MB))
    small = Held(made, "bob", MB)
    many = [Held(made, "mallory", 2 * MB) for _ in range(5)]
    for each in (small, *many):
        made.hold(each)
    assert [each.error is not None for each in many] == [True, False, False, False, False]
    assert "others needed its place" in str(many[0].error)
    assert small.error is None
    assert (made.bytes, made.count, made.ended) == (9 * MB, 5, 1)
    made.close()


async def test_what_fills_up_while_it_stands_still_is_seen() -> None:
    made = Stalls(StallLimits(100, 100, 10 * MB, 5 * MB))
    held = [Held(made, "mallory", 0) for _ in range(4)]
    for each in held:
        made.hold(each)
    for each in held:
        each.size = 4 * MB
    made.review()
    assert [each.error is not None for each in held] == [True, True, False, False]
    assert made.bytes == 8 * MB
    made.close()


async def test_beyond_an_owners_bytes_is_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Stalls(StallLimits(100, 100, 100 * MB, 5 * MB))
    held = [Held(made, "ann", 2 * MB) for _ in range(4)]
    other = Held(made, "bob", 4 * MB)
    advance(monkeypatch, 0)  # and no further by itself
    for each in (*held, other):
        made.hold(each)
    made.review()
    assert made.ended == 0, "they stand still since a moment only"
    advance(monkeypatch, stalls.MOMENT)
    made.hold(held[0])  # something moved
    made.review()
    assert [each.error is not None for each in held] == [False, True, True, False]
    assert other.error is None
    assert made.bytes == 8 * MB
    made.close()


async def test_it_looks_by_itself_for_as_long_as_something_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stalls, "REVIEW", 0.001)
    made = Stalls(StallLimits(100, 100, 10 * MB, 5 * MB))
    one = Held(made, "ann", 0)
    made.hold(one)
    one.size = 20 * MB
    await until(lambda: one.error)
    await until(lambda: made._timer is None)
    made.hold(one)
    made.release(one)
    await until(lambda: made._timer is None)
    made.close()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["hold", "release", "grow", "review"]),
            st.integers(0, 9),
            st.integers(0, 3 * MB),
        ),
        max_size=80,
    )
)
def test_all_is_accounted_for_and_the_limits_hold(steps: list[tuple[str, int, int]]) -> None:
    async def main() -> None:
        made = Stalls(StallLimits(6, 3, 10 * MB, 4 * MB))
        held = [Held(made, f"owner {number % 3}", 0) for number in range(10)]
        present: set[int] = set()
        for what, number, size in steps:
            if what == "hold":
                made.hold(held[number])
                present.add(number)
            elif what == "release":
                made.release(held[number])
                present.discard(number)
            elif what == "grow":
                held[number].size = size
            else:
                made.review()
            present = {each for each in present if held[each].error is None}
            for each in held:
                each.error = None
            present &= {each for each in range(10) if held[each] in _all(made)}
            assert made.count == len(_all(made)) == len(present) <= 6
            assert made.bytes == sum(share.bytes for share in made._shares.values()) <= 10 * MB
        for each in held:
            made.release(each)
        assert (made.count, made.bytes, made._shares) == (0, 0, {})
        made.close()

    asyncio.run(main())


def _all(made: Stalls) -> set[object]:
    return {each for share in made._shares.values() for each in share.since}


def test_limits_follow_the_machine() -> None:
    assert StallLimits.of(10, 5, 64 << 30, 4) == StallLimits(10, 5, MOST_BYTES, MOST_BYTES // 2)
    assert StallLimits.of(10, 5, 2 << 30, 2) == StallLimits(10, 5, 64 * MB, 32 * MB)
    assert memory() > 64 * MB


async def test_what_the_kernel_holds_is_seen() -> None:
    one, other = pair()
    assert kernel_bytes(one, other) == kernel_bytes(None, None) == 0
    with one, other:
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += one.send(bytes(65536))
        await until(lambda: kernel_bytes(other, one) >= sent)
    assert kernel_bytes(one, other) == 0, "closed"


async def test_streams_of_a_user_hold_a_bounded_part_of_the_kernels_memory() -> None:
    """Each client reads nothing and each upstream sends as much as it can."""
    pipes = Pipes()
    bob = Joined(pipes, "bob")
    bob.upstream.send(b"x" * 1000)
    streams = [Joined(pipes, "mallory") for _ in range(10)]
    await fill(streams[0])
    pipes.stalls.review()
    limits = pipes.stalls.limits = StallLimits(1000, 1000, 4 * pipes.stalls.bytes)
    for each in streams:
        await fill(each)
        pipes.stalls.review()
        assert pipes.stalls.bytes <= limits.most_bytes
    held = sum(kernel_bytes(*each.splice._sockets[::-1]) for each in streams if not each.ends)
    assert 0 < held <= limits.most_bytes
    assert any(each.ends for each in streams)
    assert not streams[-1].ends, "the newest ones stay"
    assert not bob.ends
    assert bob.client.recv(2000) == b"x" * 1000
    for each in (*streams, bob):
        each.close()
    assert pipes.stalls.bytes == 0
    pipes.close()


async def test_a_loops_timer_does_not_outlive_it() -> None:
    made = Stalls()
    made.hold(Held(made, "ann", 1))
    made.close()
    assert made._timer is None
    made.close()
    with socket.socket() as never_connected:
        assert kernel_bytes(never_connected, None) == 0
