from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.engines.fair import QUANTUM, ROOM, FairQueues

PLACE = ("192.0.2.1", 9)
BIG = 60_000


def put(queues: FairQueues, peer: str, data: bytes) -> bool:
    return not queues.put([(memoryview(data), PLACE)], lambda _: peer)


def test_nothing_waits_at_first() -> None:
    queues = FairQueues()
    assert not queues
    with pytest.raises(KeyError):
        queues.take()


def test_who_floods_has_half_and_the_others_still_have_room() -> None:
    queues = FairQueues()
    taken = sum(put(queues, "mallory", bytes([each % 256])) for each in range(2 * ROOM))
    assert taken == ROOM // 2
    assert all(put(queues, f"peer {each}", b"x") for each in range(2 * ROOM))
    assert sum(put(queues, "ann", b"x") for _ in range(QUANTUM + 1)) == QUANTUM


def test_who_sends_little_waits_for_one_turn_of_the_others() -> None:
    queues = FairQueues()
    for _ in range(1000):
        put(queues, "mallory", b"flood")
    put(queues, "ann", b"one")
    assert [queues.take()[0] for _ in range(3)] == ["mallory", "ann", "mallory"]


def test_a_turn_is_as_long_for_large_datagrams() -> None:
    queues = FairQueues()
    for _ in range(20):
        put(queues, "large", bytes(BIG))
        put(queues, "small", b"x" * 100)
    counts = {peer: len(taken) for peer, taken in (queues.take(), queues.take())}
    assert counts == {"large": 2, "small": 20}


def test_a_run_of_datagrams_is_asked_about_once() -> None:
    queues = FairQueues()
    asked: list[bytes] = []

    def origin(data: bytes) -> bytes:
        asked.append(data)
        return data[:8]

    one, other = b"session1", b"session2"
    train = [one + b"a", one + b"b", other + b"c", one + b"d"]
    assert queues.put([(memoryview(each), PLACE) for each in train], origin) == 0
    assert asked == [one + b"a", other + b"c", one + b"d"]
    assert [data for data, _ in queues.take()[1]] == [one + b"a", one + b"b", one + b"d"]
    assert queues.take() == (other, [(other + b"c", PLACE)])


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([1, 1300, BIG])) | st.none(),
        max_size=400,
    )
)
def test_each_peers_datagrams_come_out_in_order_and_all_is_accounted_for(
    steps: list[tuple[str, int] | None],
) -> None:
    """None is a turn."""
    queues = FairQueues()
    wanted: dict[object, list[bytes]] = defaultdict(list)
    found: dict[object, list[bytes]] = defaultdict(list)

    def turn() -> None:
        peer, taken = queues.take()
        found[peer] += [bytes(data) for data, place in taken if place == PLACE]

    for number, step in enumerate(steps):
        if step is None:
            if queues:
                turn()
            continue
        peer, size = step
        data = number.to_bytes(2, "big") + bytes(size)
        if put(queues, peer, data):
            wanted[peer].append(data)
        assert queues.waiting <= ROOM + 3 * QUANTUM
    for _ in range(3 * len(steps)):
        if queues:
            turn()
    assert not queues
    assert queues.waiting == 0
    assert found == wanted
