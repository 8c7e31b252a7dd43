"""Heads of IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293) and UDP (RFC 768)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from octelium.tunnel.packets.checksums import Buffer, checksum, pseudo_sum, word_sum

TCP = 6
UDP = 17
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
LONGEST = 65_535
"""Bytes of an IPv4 packet, and of what follows the head of an IPv6 packet."""

_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_TCP = struct.Struct(">HHIIBBHHH")
_UDP = struct.Struct(">HHHH")


class PacketError(ValueError):
    """Bytes that are not the packet they should be; the text says which part is wrong."""


@dataclass(frozen=True, slots=True)
class IpHead:
    """What both versions have.

    Attributes:
        source, destination: 4 or 16 bytes.
        size: of the head; options of IPv4 included, extension heads of IPv6 not.
        fragment: part of a packet of IPv4, or its first part.
    """

    source: bytes
    destination: bytes
    protocol: int
    size: int
    total: int
    fragment: bool = False

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if len(self.source) == 4 else 6


@dataclass(frozen=True, slots=True)
class TcpHead:
    """A TCP head; `options` are padded to four bytes."""

    source: int
    destination: int
    sequence: int
    acknowledged: int
    flags: int
    window: int
    checksum: int = 0
    urgent: int = 0
    options: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of the head."""
        return 20 + len(self.options)

    def pack(self) -> bytes:
        """The bytes of it."""
        fixed = _TCP.pack(
            self.source,
            self.destination,
            self.sequence,
            self.acknowledged,
            self.size << 2,
            self.flags,
            self.window,
            self.checksum,
            self.urgent,
        )
        return fixed + self.options


def parse_ip(packet: Buffer) -> IpHead:
    """The IP head of a packet, whose length must be the head's.

    Raises:
        PacketError: no whole IP packet.
    """
    version = packet[0] >> 4 if len(packet) else 0
    if version == 4 and len(packet) >= 20:
        first, _, total, _, fragment, _, protocol, _, source, destination = _IPV4.unpack_from(
            packet
        )
        size = (first & 15) * 4
        if not 20 <= size <= total:
            raise PacketError(f"IPv4: a head of {size} bytes in a packet of {total}")
        parsed = IpHead(source, destination, protocol, size, total, bool(fragment & 0x3FFF))
    elif version == 6 and len(packet) >= 40:
        _, length, protocol, _, source, destination = _IPV6.unpack_from(packet)
        parsed = IpHead(source, destination, protocol, 40, 40 + length)
    else:
        raise PacketError(f"no IP packet: version {version}, {len(packet)} bytes")
    if parsed.total != len(packet):
        raise PacketError(f"{len(packet)} bytes of a packet of {parsed.total}")
    return parsed


def parse_tcp(packet: Buffer, start: int) -> TcpHead:
    """The TCP head at `start` of a packet.

    Raises:
        PacketError: it is not whole.
    """
    if len(packet) < start + 20:
        raise PacketError("TCP: the packet ends within the head")
    source, destination, sequence, acknowledged, offset, flags, window, total, urgent = (
        _TCP.unpack_from(packet, start)
    )
    size = (offset >> 4) * 4
    if not 20 <= size <= len(packet) - start:
        raise PacketError(f"TCP: a head of {size} bytes")
    options = bytes(packet[start + 20 : start + size])
    return TcpHead(
        source, destination, sequence, acknowledged, flags, window, total, urgent, options
    )


def build_ip(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload: bytes,
    *,
    identification: int = 0,
    dont_fragment: bool = True,
    traffic_class: int = 0,
    hops: int = 64,
) -> bytes:
    """An IP packet; the length of the addresses tells the version."""
    if len(source) == 16:
        first = 6 << 28 | traffic_class << 20
        head = _IPV6.pack(first, len(payload), protocol, hops, source, destination)
        return head + payload
    fields = (
        0x45,
        traffic_class,
        20 + len(payload),
        identification,
        0x4000 if dont_fragment else 0,
        hops,
        protocol,
    )
    total = word_sum(_IPV4.pack(*fields, 0, source, destination))
    return _IPV4.pack(*fields, checksum(total), source, destination) + payload


def build_tcp(source: bytes, destination: bytes, head: TcpHead, payload: bytes) -> bytes:
    """A TCP segment with its checksum, for `build_ip`."""
    segment = bytearray(head.pack() + payload)
    struct.pack_into(">H", segment, 16, 0)
    total = pseudo_sum(source + destination, TCP, len(segment)) + word_sum(segment)
    struct.pack_into(">H", segment, 16, checksum(total))
    return bytes(segment)


def build_udp(
    source: bytes, destination: bytes, from_port: int, to_port: int, payload: bytes
) -> bytes:
    """A UDP datagram with its checksum, for `build_ip`."""
    length = 8 + len(payload)
    fields = (from_port, to_port, length)
    total = pseudo_sum(source + destination, UDP, length) + word_sum(
        _UDP.pack(*fields, 0) + payload
    )
    return _UDP.pack(*fields, checksum(total) or 0xFFFF) + payload


def is_valid(packet: Buffer) -> bool:
    """Whether all checksums of an unfragmented packet are right. Others' than TCP's and UDP's
    are not looked at.

    Raises:
        PacketError: no whole IP packet.
    """
    head = parse_ip(packet)
    if head.version == 4 and word_sum(packet[: head.size]):
        return False
    if head.protocol not in (TCP, UDP):
        return True
    upper = packet[head.size :]
    if head.protocol == UDP and bytes(upper[6:8]) == b"\0\0":
        return head.version == 4  # without a checksum: RFC 768, forbidden by RFC 8200
    pseudo = pseudo_sum(head.source + head.destination, head.protocol, len(upper))
    return (pseudo + word_sum(upper)) % 65535 == 0
