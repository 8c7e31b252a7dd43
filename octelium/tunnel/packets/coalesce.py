"""Successive segments of a TCP connection as one large packet, for one write to a TUN device.

Only what can be cut again into the same segments is joined, the rule of Linux's GRO
(segmentation-offloads.rst), but for identifications of packets that may not be fragmented, which
mean nothing (RFC 6864, section 4.1). Checksums are left to the kernel as made: the packets come out
of a session that authenticates each byte, and Linux's own WireGuard takes them so too.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from octelium.tunnel.packets import virtio
from octelium.tunnel.packets.checksums import checksum, pseudo_sum, word_sum
from octelium.tunnel.packets.heads import ACK, LONGEST, PSH, TCP

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHECKSUM = 16
_DONT_FRAGMENT = 0x40
# (version to TOS, total, id, fragment to protocol, checksum, addresses and ports,
#  sequence, acknowledged, offset, flags, window, checksum, urgent)
_V4 = struct.Struct(">2sHH4sH12sI4sBB2sHH").unpack_from
# (version to flow, length, next head, hops, addresses and ports, and the same)
_V6 = struct.Struct(">4sHBs36sI4sBB2sHH").unpack_from
_ACK_PSH = ACK | PSH


class _Run:
    """Segments that follow each other."""

    __slots__ = ("flags", "head", "identification", "next", "packets", "same", "segment", "size")

    def __init__(
        self,
        packet: bytes,
        head: int,
        segment: int,
        same: tuple[object, ...],
        sequence: int,
        identification: int,
    ) -> None:
        self.packets = [packet]
        self.head = head
        self.segment = segment
        self.same = same
        self.next = (sequence + segment) & 0xFFFFFFFF
        self.identification = identification
        self.size = len(packet)
        self.flags = ACK


def coalesce(packets: Iterable[bytes]) -> list[bytes]:
    """Frames for a TUN device with IFF_VNET_HDR; packets of a flow stay in their order."""
    done: list[_Run | bytes] = []
    runs: dict[bytes, _Run] = {}
    for packet in packets:
        size = len(packet)
        first = packet[0] if size >= 40 else 0
        if first == 0x45 and packet[9] == TCP:
            (
                start,
                _,
                identification,
                middle,
                _,
                flow,
                sequence,
                acknowledged,
                offset,
                flags,
                window,
                _,
                urgent,
            ) = _V4(packet)
            ip = 20
            most = LONGEST
            fixed = middle[0] & _DONT_FRAGMENT
            plain = not (middle[0] & 0x3F or middle[1])
        elif first >> 4 == 6 and size >= 60 and packet[6] == TCP:
            start, _, _, middle, flow, sequence, acknowledged, offset, flags, window, _, urgent = (
                _V6(packet)
            )
            ip = 40
            most = LONGEST + 40
            identification = 0
            fixed = 1
            plain = True
        else:
            done.append(packet)
            continue
        head = ip + (offset >> 4) * 4
        segment = size - head
        if not plain or segment <= 0 or head < ip + 20 or flags & ~PSH != ACK or urgent:
            runs.pop(flow, None)  # what follows stays behind this packet
            done.append(packet)
            continue
        same = (start, middle, acknowledged, offset, window, packet[ip + 20 : head])
        run = runs.get(flow)
        if (
            run is not None
            and run.next == sequence
            and segment <= run.segment
            and run.same == same
            and run.size + segment <= most
            and (fixed or run.identification + len(run.packets) & 0xFFFF == identification)
        ):
            run.packets.append(packet)
            run.size += segment
            run.next = (sequence + segment) & 0xFFFFFFFF
            if segment < run.segment or flags == _ACK_PSH:
                run.flags = flags
                del runs[flow]
        elif flags == ACK:
            run = runs[flow] = _Run(packet, head, segment, same, sequence, identification)
            done.append(run)
        else:
            runs.pop(flow, None)
            done.append(packet)
    return [virtio.PLAIN + each if isinstance(each, bytes) else _frame(each) for each in done]


def _frame(run: _Run) -> bytes:
    packets = run.packets
    if len(packets) == 1:
        return virtio.PLAIN + packets[0]
    first = packets[0]
    head = bytearray(first[: run.head])
    if first[0] >> 4 == 4:
        ip, kind, addresses = 20, virtio.TCP4, first[12:20]
        struct.pack_into(">H", head, 2, run.size)
        struct.pack_into(">H", head, 10, 0)
        struct.pack_into(">H", head, 10, checksum(word_sum(head[:20])))
    else:
        ip, kind, addresses = 40, virtio.TCP6, first[8:40]
        struct.pack_into(">H", head, 4, run.size - 40)
    head[ip + 13] = run.flags
    # A pseudo-header's sum of 0 is written as 65,535, which is equal.
    pseudo = pseudo_sum(addresses, TCP, run.size - ip) % 65535 or 0xFFFF
    struct.pack_into(">H", head, ip + _CHECKSUM, pseudo)
    above = virtio.pack(virtio.NEEDS_CSUM, kind, run.head, run.segment, ip, _CHECKSUM)
    size = run.head
    return b"".join((above, head, *[memoryview(each)[size:] for each in packets]))
