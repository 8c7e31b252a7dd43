"""IPv4 packets for who has no TUN device (RFC 791, RFC 768, RFC 9293)."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import Final

_SYN: Final = 2
_WINDOW: Final = 64_240
_TTL: Final = 64


def udp(source: str, target: str, port: int, source_port: int, data: bytes) -> bytes:
    """A datagram to `target` and `port`; its checksum is left out, as it may be."""
    head = struct.pack(">4H", source_port, port, 8 + len(data), 0)
    return _packet(source, target, socket.IPPROTO_UDP, head + data)


def syn(source: str, target: str, port: int, source_port: int) -> bytes:
    """A segment that begins a connection."""
    parts = (source_port, port, 1, 0, 5 << 4, _SYN, _WINDOW)
    places = ip_address(source).packed + ip_address(target).packed
    pseudo = places + struct.pack(">HH", socket.IPPROTO_TCP, 20)
    checksum = _sum(pseudo + struct.pack(">HHIIBBHHH", *parts, 0, 0))
    segment = struct.pack(">HHIIBBHHH", *parts, checksum, 0)
    return _packet(source, target, socket.IPPROTO_TCP, segment)


def _packet(source: str, target: str, protocol: int, data: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, _TTL, protocol, 0)
    places = ip_address(source).packed + ip_address(target).packed
    return head[:10] + _sum(head + places).to_bytes(2, "big") + places + data


def _sum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
