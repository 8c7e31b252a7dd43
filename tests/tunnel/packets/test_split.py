from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.packets import heads, virtio
from octelium.tunnel.packets.checksums import checksum, pseudo_sum, word_sum
from octelium.tunnel.packets.coalesce import coalesce
from octelium.tunnel.packets.heads import (
    ACK,
    CWR,
    FIN,
    PSH,
    PacketError,
    build_ip,
    build_udp,
    is_valid,
    parse_ip,
    parse_tcp,
)
from octelium.tunnel.packets.split import split
from tests.tunnel.packets.flows import DESTINATIONS, SOURCES, TIMES, segment, train, trains

VERSIONS = pytest.mark.parametrize("version", [4, 6])


def large(packet: bytes, kind: int, size: int, offset: int = 16) -> bytes:
    """A frame of a packet that is to be cut, as the kernel hands it over."""
    head = parse_ip(packet)
    pseudo = pseudo_sum(head.source + head.destination, head.protocol, len(packet) - head.size)
    made = bytearray(packet)
    struct.pack_into(">H", made, head.size + offset, pseudo % 65535)
    return virtio.pack(virtio.NEEDS_CSUM, kind, 0, size, head.size, offset) + bytes(made)


def cut(frame: bytes) -> list[bytes]:
    return [bytes(each) for each in split(frame)]


def kind_of(version: int) -> int:
    return virtio.TCP4 if version == 4 else virtio.TCP6


@given(trains())
def test_a_train_of_segments_comes_back(packets: list[bytes]) -> None:
    assert [packet for frame in coalesce(packets) for packet in cut(frame)] == packets


@VERSIONS
def test_as_a_kernel_would(version: int) -> None:
    payload = bytes(range(250)) * 100
    packets = train(version, payload, 1208, push=True, options=TIMES)
    whole = segment(
        version,
        payload,
        sequence=0xFFFFFF00,
        flags=ACK | PSH,
        options=TIMES,
        **({"identification": 0xFFFE} if version == 4 else {}),
    )
    assert cut(large(whole, kind_of(version), 1208)) == packets
    assert all(is_valid(each) for each in packets)


@VERSIONS
def test_flags_of_the_first_and_of_the_last_segment(version: int) -> None:
    whole = segment(version, bytes(300), flags=ACK | PSH | FIN | CWR)
    flags = [
        parse_tcp(each, parse_ip(each).size).flags
        for each in cut(large(whole, kind_of(version) | virtio.ECN, 100))
    ]
    assert flags == [ACK | CWR, ACK, ACK | PSH | FIN]
    (only,) = cut(large(whole, kind_of(version), 300))
    assert only == whole


def test_options_of_ipv4_are_kept() -> None:
    plain = segment(4, bytes(range(200)))
    packet = bytearray(plain[:20] + b"\x94\x04\0\0" + plain[20:])
    packet[0] = 0x46
    struct.pack_into(">H", packet, 2, len(packet))
    found = cut(large(bytes(packet), virtio.TCP4, 90))
    assert [len(each) for each in found] == [24 + 20 + size for size in (90, 90, 20)]
    assert all(is_valid(each) and each[20:24] == b"\x94\x04\0\0" for each in found)


@VERSIONS
def test_udp_datagrams_are_cut(version: int) -> None:
    source, destination = SOURCES[version], DESTINATIONS[version]
    payload = bytes(range(256)) * 10
    whole = build_ip(source, destination, heads.UDP, build_udp(source, destination, 9, 8, payload))
    found = cut(large(whole, virtio.UDP, 1000, 6))
    start = parse_ip(whole).size + 8
    assert b"".join(each[start:] for each in found) == payload
    assert [len(each) - start for each in found] == [1000, 1000, 560]
    assert all(is_valid(each) for each in found)


@VERSIONS
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_checksum_is_finished(version: int, protocol: str) -> None:
    source, destination = SOURCES[version], DESTINATIONS[version]
    offset = 16
    packet = segment(version, b"abc")
    if protocol == "udp":
        offset = 6
        udp = build_udp(source, destination, 9, 8, b"abc")
        packet = build_ip(source, destination, heads.UDP, udp)
    assert cut(large(packet, virtio.NONE, 0, offset)) == [packet]


def test_what_needs_nothing_is_left_alone() -> None:
    packet = segment(4, b"abc")[:-1] + b"x"  # its checksum is wrong, and not our business
    assert cut(virtio.PLAIN + packet) == [packet]


WHOLE = segment(4, bytes(500))


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "0 bytes"),
        (virtio.PLAIN + bytes(19), "29 bytes"),
        (large(WHOLE, virtio.UDP_FRAGMENTS, 100), "kind 3"),
        (large(WHOLE, virtio.TCP6, 100), "version 4, not 6"),
        (large(WHOLE, virtio.UDP, 100), "protocol 6, not 17"),
        (large(WHOLE, virtio.TCP4, 0), "segments of 0"),
        (large(segment(4, b""), virtio.TCP4, 100), "0 bytes in segments"),
        (large(segment(4, bytes(6000)), virtio.TCP4, 1), "6000 bytes in segments of 1"),
        (virtio.pack(1, 0, 0, 0, 0, 16) + WHOLE, "checksum at 0"),
        (virtio.pack(1, 0, 0, 0, 530, 16) + WHOLE, "checksum at 530"),
        (virtio.pack(1, virtio.TCP4, 0, 9, 20, 16) + WHOLE[:39], "head ends at 0"),
        (virtio.pack(1, virtio.TCP4, 0, 9, 20, 16) + b"\x44" + WHOLE[1:], "IP head of 16"),
        (virtio.pack(1, virtio.TCP6, 0, 9, 40, 16) + b"\x60" + bytes(38), "IP head of 40 bytes"),
    ],
)
def test_what_cannot_be(frame: bytes, text: str) -> None:
    with pytest.raises(PacketError, match=text):
        split(frame)


@given(
    st.integers(0, 3),
    st.sampled_from((0, 1, 3, 4, 5, 0x81, 0x84, 200)),
    st.integers(0, 2000),
    st.integers(0, 200),
    st.integers(0, 200),
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=100).map(lambda more: WHOLE[:40] + more),
        st.binary(max_size=100).map(lambda more: segment(6, b"")[:60] + more),
    ),
)
def test_fuzz(flags: int, kind: int, size: int, start: int, offset: int, packet: bytes) -> None:
    frame = virtio.pack(flags, kind, 0, size, start, offset) + packet
    with contextlib.suppress(PacketError):
        assert sum(len(each) for each in split(frame)) <= 512 * (len(packet) + 100)


def test_sums_that_come_to_zero() -> None:
    """A TCP checksum of 0 and one of 65,535 are equal; the former is what RFC 1071 gives."""
    for number in range(65536):
        packet = segment(4, number.to_bytes(2, "big") + bytes(98))
        if packet[36:38] == b"\0\0":
            twice = segment(4, packet[40:] * 2)
            assert cut(large(twice, virtio.TCP4, 100))[0][36:38] == b"\0\0"
            assert checksum(word_sum(packet[:20])) == 0
            return
    raise AssertionError("one of all words makes the sum zero")
