from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.packets import heads, virtio
from octelium.tunnel.packets.coalesce import coalesce
from octelium.tunnel.packets.heads import ACK, FIN, PSH, SYN, build_ip, build_udp, parse_ip
from octelium.tunnel.packets.split import split
from tests.tunnel.packets.flows import DESTINATIONS, SOURCES, TIMES, segment, train, trains

VERSIONS = pytest.mark.parametrize("version", [4, 6])
PAYLOAD = random.Random(1).randbytes(1000)


def again(frames: list[bytes]) -> list[bytes]:
    return [bytes(packet) for frame in frames for packet in split(frame)]


@given(trains())
def test_a_train_is_one_frame(packets: list[bytes]) -> None:
    frames = coalesce(packets)
    assert len(frames) == 1
    head = virtio.parse(frames[0])
    if len(packets) > 1:
        assert head.flags == virtio.NEEDS_CSUM
        assert head.kind == (virtio.TCP4 if packets[0][0] >> 4 == 4 else virtio.TCP6)
        parsed = parse_ip(frames[0][10:])
        assert (head.start, head.offset) == (parsed.size, 16)
        assert head.heads + head.segment == len(packets[0])
    assert again(frames) == packets


@given(st.lists(trains(), max_size=4), st.randoms(use_true_random=False), st.integers(0, 20))
def test_any_order_of_anything_comes_back(
    several: list[list[bytes]], order: random.Random, swaps: int
) -> None:
    """Nothing is lost, and each flow keeps its order, which is that of its packets here."""
    packets = [packet for each in several for packet in each]
    for _ in range(swaps):
        if packets:
            packets.insert(
                order.randrange(len(packets)), packets.pop(order.randrange(len(packets)))
            )
    back = again(coalesce(packets))
    for version in (4, 6):
        mine = [_unidentified(each) for each in packets if each[0] >> 4 == version]
        assert [_unidentified(each) for each in back if each[0] >> 4 == version] == mine


def _unidentified(packet: bytes) -> bytes:
    """Without the identification of a packet that may not be fragmented, and its checksum."""
    if packet[0] >> 4 == 4 and packet[6] & 0x40:
        return packet[:4] + packet[6:10] + packet[12:]
    return packet


@VERSIONS
def test_two_flows_at_once(version: int) -> None:
    one = train(version, PAYLOAD, 100)
    other = train(version, PAYLOAD, 100, source=7)
    frames = coalesce([each for pair in zip(one, other, strict=True) for each in pair])
    assert [again([frame]) for frame in frames] == [one, other]


@VERSIONS
@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 1101},
        {"sequence": 1000},
        {"acknowledged": 78},
        {"window": 501},
        {"flags": ACK | FIN},
        {"flags": ACK | SYN},
        {"flags": PSH},
        {"flags": ACK | heads.URG, "urgent": 1},
        {"flags": ACK | heads.CWR},
        {"urgent": 1},
        {"options": TIMES},
        {"destination": 3},
        {"traffic_class": 3},
        {"hops": 63},
    ],
)
def test_what_differs_is_not_joined(version: int, change: dict[str, int]) -> None:
    packets = [
        segment(version, bytes(100)),
        segment(version, bytes(100), **{"sequence": 1100, **change}),
    ]
    assert coalesce(packets) == [virtio.PLAIN + each for each in packets]


def test_identifications_count_on_where_fragments_may_be() -> None:
    for free, identification, frames in ((True, 7, 2), (True, 6, 1), (False, 7, 1), (False, 6, 1)):
        packets = [
            segment(4, bytes(100), identification=5, dont_fragment=not free),
            segment(
                4,
                bytes(100),
                sequence=1100,
                identification=identification,
                dont_fragment=not free,
            ),
        ]
        assert len(coalesce(packets)) == frames


@VERSIONS
def test_a_smaller_segment_and_a_push_are_the_last(version: int) -> None:
    packets = [
        segment(version, bytes(100), sequence=0, identification=0),
        segment(version, bytes(99), sequence=100, identification=1),
        segment(version, bytes(99), sequence=199, identification=2),
        segment(version, bytes(99), sequence=298, identification=3, flags=ACK | PSH),
        segment(version, bytes(99), sequence=397, identification=4),
        segment(version, bytes(100), sequence=496, identification=5),
    ]
    frames = coalesce(packets)
    assert [len(again([frame])) for frame in frames] == [2, 2, 1, 1]
    assert again(frames)[3] == packets[3]


@VERSIONS
def test_acknowledgements_stay_where_they_are(version: int) -> None:
    packets = [
        segment(version, bytes(100), sequence=0, identification=0),
        segment(version, b"", sequence=100, identification=1),
        segment(version, bytes(100), sequence=100, identification=2),
    ]
    assert coalesce(packets) == [virtio.PLAIN + each for each in packets]


@VERSIONS
def test_a_frame_is_no_longer_than_a_packet_can_be(version: int) -> None:
    packets = train(version, PAYLOAD * 140, 1000)
    frames = coalesce(packets)
    assert len(frames) == 3
    assert max(len(frame) for frame in frames) <= 65535 + (40 if version == 6 else 0) + 10
    assert again(frames) == packets


def test_fragments_and_options_and_other_protocols_pass() -> None:
    source, destination = SOURCES[4], DESTINATIONS[4]
    first = bytearray(segment(4, bytes(100)))
    first[6] = 0x20
    with_options = bytearray(segment(4, bytes(100)))
    with_options[0] = 0x46
    udp = build_ip(source, destination, heads.UDP, build_udp(source, destination, 1, 2, b"x" * 40))
    short = segment(4, b"")[:39]
    wrong = bytearray(segment(4, bytes(100)))
    wrong[32] = 4 << 4  # a TCP head of 16 bytes
    longer = bytearray(segment(4, b""))
    longer[32] = 15 << 4
    packets = [bytes(each) for each in (first, with_options, udp, short, wrong, longer) * 2]
    assert coalesce(packets) == [virtio.PLAIN + each for each in packets]
    assert coalesce([]) == []


@pytest.mark.parametrize("fragment", [0x2000, 0x0001, 0x0100, 0x1000, 0x3FFF])
def test_fragments_are_not_joined(fragment: int) -> None:
    packets = []
    for number in range(2):
        packet = bytearray(segment(4, bytes(100), sequence=1000 + 100 * number))
        packet[6:8] = fragment.to_bytes(2, "big")
        packets.append(bytes(packet))
    assert coalesce(packets) == [virtio.PLAIN + each for each in packets]


@VERSIONS
def test_heads_that_are_too_small_are_not_joined(version: int) -> None:
    packets = []
    for number in range(2):
        packet = bytearray(segment(version, bytes(100), sequence=1000 + 104 * number))
        packet[(20 if version == 4 else 40) + 12] = 4 << 4
        packets.append(bytes(packet))
    assert coalesce(packets) == [virtio.PLAIN + each for each in packets]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.binary(max_size=80).map(lambda more: b"\x45" + more),
            st.binary(max_size=60).map(lambda more: segment(4, b"")[:33] + more),
            st.binary(max_size=60).map(lambda more: segment(6, b"")[:52] + more),
        ),
        max_size=6,
    )
)
def test_fuzz(packets: list[bytes]) -> None:
    frames = coalesce(packets)
    assert len(frames) <= len(packets)
    assert sum(len(each) - 10 for each in frames) <= sum(len(each) for each in packets)
