"""The head before each packet of a TUN device with IFF_VNET_HDR.

It is `struct virtio_net_hdr` of linux/virtio_net.h, in the byte order of the machine; see also
Virtual I/O Device (VIRTIO) 1.2, section 5.1.6.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = 10
"""Bytes of the head."""
NEEDS_CSUM = 1
"""The checksum's field holds the sum of a pseudo-header; the rest is to be made."""
NONE, TCP4, UDP_FRAGMENTS, TCP6, UDP = 0, 1, 3, 4, 5
"""Kinds of large packets: VIRTIO_NET_HDR_GSO_NONE, _TCPV4, _UDP, _TCPV6, _UDP_L4."""
ECN = 0x80
"""Beside a kind: the first segment alone may have the flag CWR (RFC 3168, section 6.1.2)."""

_STRUCT = struct.Struct("=BBHHHH")
pack = _STRUCT.pack
"""(flags, kind, bytes of all heads, segment size, checksum start, checksum offset)"""
unpack = _STRUCT.unpack_from
PLAIN = bytes(HEADER)
"""Of a packet that is as it should be."""


class Head(NamedTuple):
    """The head's fields."""

    flags: int
    kind: int
    heads: int
    segment: int
    start: int
    offset: int

    def pack(self) -> bytes:
        """The bytes of it."""
        return pack(*self)


def parse(frame: bytes | memoryview) -> Head:
    """The head of a frame.

    Raises:
        ValueError: the frame is shorter than it.
    """
    if len(frame) < HEADER:
        raise ValueError(f"a frame of {len(frame)} bytes has no head of {HEADER}")
    return Head(*unpack(frame))
