from __future__ import annotations

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.packets import heads
from octelium.tunnel.packets.heads import (
    PacketError,
    TcpHead,
    build_ip,
    build_udp,
    is_valid,
    parse_ip,
    parse_tcp,
)
from tests.tunnel.packets.flows import DESTINATIONS, SOURCES, TIMES, segment, trains


def test_a_packet_of_wireshark_s_wiki() -> None:
    """An IPv4 head whose checksum many texts give: b861."""
    head = bytes.fromhex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")
    built = build_ip(ip_address("192.168.0.1").packed, ip_address("192.168.0.199").packed, 17, b"")
    assert build_ip(head[12:16], head[16:20], 17, bytes(0x73 - 20))[:20] == head
    assert len(built) == 20


@pytest.mark.parametrize("version", [4, 6])
def test_heads_come_back(version: int) -> None:
    packet = segment(version, b"hello", options=TIMES, traffic_class=3, hops=9)
    found = parse_ip(packet)
    assert (found.version, found.protocol, found.total) == (version, heads.TCP, len(packet))
    assert (found.source, found.destination) == (SOURCES[version], DESTINATIONS[version])
    tcp = parse_tcp(packet, found.size)
    assert (tcp.sequence, tcp.acknowledged, tcp.flags, tcp.options) == (1000, 77, 16, TIMES)
    assert packet[found.size + tcp.size :] == b"hello"
    assert tcp.pack() == packet[found.size : found.size + tcp.size]
    assert is_valid(packet)


@given(trains(), st.data())
def test_any_damage_to_a_word_is_seen(packets: list[bytes], data: st.DataObject) -> None:
    packet = bytearray(packets[0])
    assert is_valid(packet)
    start = 40 if packet[0] >> 4 == 6 else 20
    at = data.draw(st.integers(start, len(packet) - 1))
    packet[at] ^= data.draw(st.integers(1, 254))
    if at != start + 12:  # the head's length
        assert not is_valid(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_udp(version: int) -> None:
    source, destination = SOURCES[version], DESTINATIONS[version]
    udp = build_udp(source, destination, 53, 5353, b"odd")
    assert is_valid(build_ip(source, destination, heads.UDP, udp))
    bare = udp[:6] + b"\0\0" + udp[8:]
    assert is_valid(build_ip(source, destination, heads.UDP, bare)) is (version == 4)
    assert not is_valid(build_ip(source, destination, heads.UDP, udp[:-1] + b"x"))


def test_a_udp_checksum_is_never_written_as_zero() -> None:
    source, destination = SOURCES[4], DESTINATIONS[4]
    for number in range(65536):
        udp = build_udp(source, destination, 1, 2, number.to_bytes(2, "big"))
        if udp[6:8] == b"\xff\xff":
            assert is_valid(build_ip(source, destination, heads.UDP, udp))
            return
    raise AssertionError("one of all words makes the sum zero")


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (b"", "version 0, 0 bytes"),
        (b"\x45" + bytes(18), "version 4, 19 bytes"),
        (b"\x60" + bytes(38), "version 6, 39 bytes"),
        (b"\x55" + bytes(60), "version 5"),
        (b"\x44" + bytes(19), "a head of 16"),
        (segment(4, b"x") + b"y", "42 bytes of a packet of 41"),
        (segment(6, b"x")[:-1], "60 bytes of a packet of 61"),
    ],
)
def test_what_is_no_packet(packet: bytes, text: str) -> None:
    with pytest.raises(PacketError, match=text):
        parse_ip(packet)


def test_tcp_heads_that_end_too_early() -> None:
    with pytest.raises(PacketError, match="ends within"):
        parse_tcp(bytes(39), 20)
    for offset in (4, 6):
        head = bytearray(TcpHead(1, 2, 3, 4, 5, 6).pack())
        head[12] = offset << 4
        with pytest.raises(PacketError, match=f"{offset * 4} bytes"):
            parse_tcp(bytes(head), 0)


@given(st.binary(max_size=100))
def test_fuzz(data: bytes) -> None:
    with contextlib.suppress(PacketError):
        head = parse_ip(data)
        is_valid(data)
        parse_tcp(data, head.size)


def test_fragments_are_told() -> None:
    packet = bytearray(segment(4, b"x"))
    assert not parse_ip(packet).fragment
    packet[6] = 0x20
    assert parse_ip(packet).fragment
    packet[6:8] = b"\0\1"
    assert parse_ip(packet).fragment
