from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.constants import MAX_BURST, MAX_SEGMENTS
from octelium.tunnel.wireguard.outbox import Outbox

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.endpoints import Endpoint

PLACES: list[Endpoint] = [("10.0.0.1", 1), ("10.0.0.2", 2), ("fd00::1", 3, 0, 0)]


@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from([32, 64, 1312, 9000])), max_size=300
    )
)
def test_bursts_can_be_sent_by_one_call(sizes: list[tuple[Endpoint, int]]) -> None:
    outbox = Outbox()
    for number, (place, size) in enumerate(sizes):
        outbox.put(place, number.to_bytes(4, "big") + bytes(size - 4))
    bursts = outbox.drain()
    for _, datagrams in bursts:
        lengths = [len(one) for one in datagrams]
        assert len(set(lengths[:-1])) <= 1
        assert lengths[-1] <= lengths[0]
        assert len(lengths) <= MAX_SEGMENTS
        assert sum(lengths) <= MAX_BURST
    for place in PLACES:
        order = [one[:4] for where, some in bursts if where == place for one in some]
        assert order == sorted(order)
    assert sum(len(some) for _, some in bursts) == len(sizes)
    assert outbox.drain() == []


def test_bursts_have_an_end() -> None:
    outbox = Outbox()
    for size, wanted in ((1312, [49, 49, 2]), (32, [64, 36]), (9000, [7] * 14 + [2])):
        for _ in range(100):
            outbox.put(PLACES[0], bytes(size))
        assert [len(some) for _, some in outbox.drain()] == wanted


def test_a_stream_of_one_size_is_one_burst() -> None:
    outbox = Outbox()
    for size in (1312, 1312, 80, 1312):
        outbox.put(PLACES[0], bytes(size))
    assert [[len(one) for one in some] for _, some in outbox.drain()] == [[1312, 1312, 80], [1312]]
    outbox.put(PLACES[0], bytes(1312))
    assert len(outbox.drain()) == 1
