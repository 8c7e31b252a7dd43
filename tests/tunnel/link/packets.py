"""IP packets as tests write them into a TUN device, right or wrong, and what comes out of it."""

from __future__ import annotations

import os
import select
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

HEADER = 10
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
SYN, RST, ACK = 0x02, 0x04, 0x10


def checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total = int(sum(struct.unpack(f"!{len(padded) // 2}H", padded)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(source: str, target: str, kind: int, length: int) -> bytes:
    ends = ip_address(source).packed + ip_address(target).packed
    if ":" in source:
        return ends + struct.pack("!IxxxB", length, kind)
    return ends + struct.pack("!xBH", kind, length)


def ip(
    source: str,
    target: str,
    kind: int,
    payload: bytes,
    *,
    offset: int = 0,
    more: bool = False,
    options: bytes = b"",
    identification: int = 7,
) -> bytes:
    """A packet; for IPv6, `offset` and `more` add a fragment header, `options` go before it."""
    fragment = offset // 8
    if ":" in source:
        if offset or more:
            head = struct.pack("!BxHI", kind, fragment << 3 | more, identification)
            kind, payload = 44, head + payload
        if options:
            kind, payload = 43, bytes([kind]) + options + payload
        head = struct.pack("!IHBB", 6 << 28, len(payload), kind, 64)
        return head + ip_address(source).packed + ip_address(target).packed + payload
    length = 20 + len(options)
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | length // 4,
        0,
        length + len(payload),
        identification,
        fragment | more << 13,
        64,
        kind,
        0,
        ip_address(source).packed,
        ip_address(target).packed,
    )
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp_payload(source: str, target: str, data: bytes, ports: tuple[int, int]) -> bytes:
    """A UDP datagram, checksum included."""
    head = struct.pack("!HHHH", *ports, 8 + len(data), 0)
    total = checksum(_pseudo(source, target, UDP, 8 + len(data)) + head + data)
    return head[:6] + struct.pack("!H", total or 0xFFFF) + data


def udp(source: str, target: str, data: bytes, *, ports: tuple[int, int] = (4000, 53)) -> bytes:
    return ip(source, target, UDP, udp_payload(source, target, data, ports))


def tcp(
    source: str,
    target: str,
    *,
    ports: tuple[int, int] = (4000, 443),
    flags: int = SYN,
    sequence: int = 1,
    acknowledged: int = 0,
    options: bytes = b"",
) -> bytes:
    head = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, 0x50, flags, 8192, 0, 0)
    total = checksum(_pseudo(source, target, TCP, 20) + head)
    return ip(
        source, target, TCP, head[:16] + struct.pack("!H", total) + head[18:], options=options
    )


def icmp(source: str, target: str, kind: int, code: int = 0, rest: bytes = bytes(8)) -> bytes:
    body = struct.pack("!BBH", kind, code, 0) + rest
    six = ":" in source
    pseudo = _pseudo(source, target, ICMP6, len(body)) if six else b""
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return ip(source, target, ICMP6 if six else ICMP, body)


def about(
    packet: bytes, claimant: str, kind: int, code: int, mtu: int = 0, *, size: int = 600
) -> bytes:
    """An error that `claimant` tells of a packet, of the kind "unreachable" or "too big"."""
    source = parse(packet).source
    return icmp(claimant, source, kind, code, struct.pack("!I", mtu) + packet[:size])


def echo(source: str, target: str, number: int) -> bytes:
    return icmp(source, target, 128 if ":" in source else 8, 0, struct.pack("!HH", 1, number))


@dataclass(frozen=True)
class Seen:
    """A packet that came out."""

    source: str
    target: str
    kind: int
    payload: bytes

    @property
    def ports(self) -> tuple[int, int]:
        first, second = struct.unpack_from("!HH", self.payload)
        return first, second


def parse(packet: bytes) -> Seen:
    if packet[0] >> 4 == 6:
        source, target = (socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24))
        return Seen(source, target, packet[6], packet[40:])
    source, target = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
    return Seen(source, target, packet[9], packet[(packet[0] & 15) * 4 :])


class Wire:
    """The far end of a TUN device: what a gateway's engine would be."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._number = 0
        self._pings: dict[bytes, str] = {}
        """Whom each ping went to; answers to former ones may be late."""

    def send(self, packet: bytes) -> None:
        os.write(self.descriptor, bytes(HEADER) + packet)

    def receive(self, seconds: float = 60.0) -> Seen:
        """The next packet. Raises TimeoutError."""
        if not select.select([self.descriptor], [], [], seconds)[0]:
            raise TimeoutError("nothing came out of the TUN device")
        return parse(os.read(self.descriptor, 70000)[HEADER:])

    def until_echo(self, source: str, target: str) -> list[Seen]:
        """What came out before the answer to a ping sent now.

        The kernel takes packets in the order of writing, so by then it has done with all before.
        """
        before: list[Seen] = []
        for patience in (0.25, 0.5, 1, 2, 4, 8, 16, 32):  # a kernel may drop a ping
            self._number += 1
            self.send(echo(source, target, self._number))
            wanted = struct.pack("!HH", 1, self._number)
            self._pings[wanted] = target
            while True:
                try:
                    seen = self.receive(patience)
                except TimeoutError:
                    break
                answers = seen.kind in (ICMP, ICMP6) and seen.payload[0] in (0, 129)
                number = seen.payload[4:8]
                if not answers or self._pings.get(number) != seen.source:
                    before.append(seen)
                elif number == wanted:
                    return before
        raise TimeoutError("no ping was answered")
