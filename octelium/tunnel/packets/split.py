"""From what a TUN device hands over to packets that are fit for the network.

The kernel leaves checksums to be finished, and hands over TCP segments, and UDP datagrams where it
can (USO), of up to 64 kB that are to be cut (segmentation-offloads.rst of the Linux documentation).
"""

from __future__ import annotations

import struct

from octelium.tunnel.packets import virtio
from octelium.tunnel.packets.checksums import checksum, finish, pseudo_sum, word_sum
from octelium.tunnel.packets.heads import CWR, FIN, PSH, TCP, UDP, PacketError

Packet = bytes | memoryview
_LAST_ONLY = FIN | PSH
_MOST = 512
"""Packets that one frame may become; 64 kB in segments of 536 bytes are 122 (RFC 9293, 3.7.1)."""
# Each with the words between that change from segment to segment, so that one call packs a head.
_V4 = struct.Struct(">2sHH4sH8s")
_V6 = struct.Struct(">4sH34s")
_TCP_FIELDS = struct.Struct(">4sI4sBB2sHH")


def split(frame: bytes) -> list[Packet]:
    """The packets of a frame, with checksums.

    Raises:
        PacketError: what the frame's head says of it cannot be.
    """
    if len(frame) < virtio.HEADER + 20:
        raise PacketError(f"a frame of {len(frame)} bytes holds no packet")
    flags, kind, _, segment, start, offset = virtio.unpack(frame)
    packet = memoryview(frame)[virtio.HEADER :]
    if kind == virtio.NONE:
        if not flags & virtio.NEEDS_CSUM:
            return [packet]
        if start == 0 or start + offset + 2 > len(packet):
            raise PacketError(f"checksum at {start} + {offset} of {len(packet)} bytes")
        finished = bytearray(packet)
        finish(finished, start, offset)
        return [bytes(finished)]
    kind &= ~virtio.ECN
    if kind == virtio.UDP:
        return _split_udp(packet, segment)
    if kind not in (virtio.TCP4, virtio.TCP6):
        raise PacketError(f"large packets of kind {kind} are unknown")
    return _split_tcp(packet, segment, 4 if kind == virtio.TCP4 else 6)


def _split_tcp(packet: memoryview, segment: int, version: int) -> list[Packet]:
    ip = _ip_size(packet, version, TCP)
    size = len(packet)
    head = ip + (packet[ip + 12] >> 4) * 4 if size >= ip + 20 else 0
    if head < ip + 20 or head > size:
        raise PacketError(f"TCP: the head ends at {head} of {size} bytes")
    _check_count(size - head, segment)
    ports, sequence, acknowledged, data_offset, flags, window, _, urgent = _TCP_FIELDS.unpack_from(
        packet, ip
    )
    options = packet[ip + 20 : head]
    addresses = packet[12:20] if version == 4 else packet[8:40]
    constant = (
        pseudo_sum(addresses, TCP, 0)
        + word_sum(ports)
        + word_sum(acknowledged)
        + (data_offset << 8)
        + word_sum(window)
        + urgent
        + word_sum(options)
    )
    ip_head = _IpHeads(packet, ip, version)
    packets: list[Packet] = []
    pack = _TCP_FIELDS.pack
    inner = flags & ~_LAST_ONLY
    now = flags if size - head <= segment else inner
    for at in range(head, size, segment):
        payload = packet[at : at + segment]
        if at + segment >= size and at != head:
            now = flags & ~CWR
        length = head - ip + len(payload)
        total = constant + sequence + now + length + word_sum(payload)
        packets.append(
            b"".join(
                (
                    ip_head.next(length),
                    pack(
                        ports,
                        sequence,
                        acknowledged,
                        data_offset,
                        now,
                        window,
                        0xFFFF - (total % 65535 or 0xFFFF),
                        urgent,
                    ),
                    options,
                    payload,
                )
            )
        )
        sequence = (sequence + segment) & 0xFFFFFFFF
        now = inner & ~CWR
    return packets


def _split_udp(packet: memoryview, segment: int) -> list[Packet]:
    version = packet[0] >> 4
    ip = _ip_size(packet, version, UDP)
    size = len(packet)
    if size < ip + 8:
        raise PacketError("UDP: the packet ends within the head")
    _check_count(size - ip - 8, segment)
    ports = bytes(packet[ip : ip + 4])
    addresses = packet[12:20] if version == 4 else packet[8:40]
    constant = pseudo_sum(addresses, UDP, 0) + word_sum(ports)
    ip_head = _IpHeads(packet, ip, version)
    packets: list[Packet] = []
    for at in range(ip + 8, size, segment):
        payload = packet[at : at + segment]
        length = 8 + len(payload)
        total = checksum(constant + 2 * length + word_sum(payload)) or 0xFFFF
        udp = ports + struct.pack(">HH", length, total)
        packets.append(b"".join((ip_head.next(length), udp, payload)))
    return packets


class _IpHeads:
    """The IP heads of segments, one after the other; identifications count on."""

    __slots__ = ("_constant", "_fields", "_identification", "_options", "_size", "_version")

    def __init__(self, packet: memoryview, size: int, version: int) -> None:
        self._version = version
        self._size = size
        if version == 6:
            first, _, rest = _V6.unpack_from(packet)
            self._fields: tuple[bytes, bytes, bytes] = (first, rest, b"")
            return
        first, _, self._identification, middle, _, addresses = _V4.unpack_from(packet)
        self._options = bytes(packet[20:size])
        self._fields = (first, middle, addresses)
        self._constant = word_sum(b"".join(self._fields) + self._options)

    def next(self, length: int) -> bytes:
        """The head of a packet with `length` bytes after it."""
        first, middle, last = self._fields
        if self._version == 6:
            return _V6.pack(first, length, middle)
        total = self._size + length
        identification = self._identification
        self._identification = (identification + 1) & 0xFFFF
        value = 0xFFFF - ((self._constant + total + identification) % 65535 or 0xFFFF)
        return _V4.pack(first, total, identification, middle, value, last) + self._options


def _ip_size(packet: memoryview, version: int, protocol: int) -> int:
    """Where the IP head ends.

    Raises:
        PacketError: another version or protocol, or the packet is shorter.
    """
    if packet[0] >> 4 != version or version not in (4, 6):
        raise PacketError(f"a packet of IP version {packet[0] >> 4}, not {version}")
    size = (packet[0] & 15) * 4 if version == 4 else 40
    if size < 20 or len(packet) < size:
        raise PacketError(f"an IP head of {size} bytes in {len(packet)}")
    found = packet[9 if version == 4 else 6]
    if found != protocol:
        raise PacketError(f"a large packet of protocol {found}, not {protocol}")
    return size


def _check_count(payload: int, segment: int) -> None:
    if segment == 0 or payload == 0 or payload > segment * _MOST:
        raise PacketError(f"{payload} bytes in segments of {segment}")
