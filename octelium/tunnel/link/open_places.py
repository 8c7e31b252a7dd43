"""The places of this side that peers may begin to talk to: an address, a transport and a port."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 1 << 17
"""Places in one list."""
PROTOCOLS: Final = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
_RECORD = struct.Struct("!BBH16s")


class OpenPlace(NamedTuple):
    """`protocol` is that of IP, `address` is packed."""

    protocol: int
    address: bytes
    port: int


class OpenPlacesError(ValueError):
    """Not a list of places; the text says why."""


def encode(places: Iterable[OpenPlace]) -> bytes:
    """The records of a list, in order."""
    return b"".join(
        _RECORD.pack(each.protocol, len(each.address), each.port, each.address)
        for each in sorted(places)
    )


def decode(data: bytes) -> frozenset[OpenPlace]:
    """The reverse of `encode`. Raises OpenPlacesError."""
    if len(data) % _RECORD.size or len(data) > MOST * _RECORD.size:
        raise OpenPlacesError(f"open places: {len(data)} bytes")
    found = set()
    for protocol, size, port, address in _RECORD.iter_unpack(data):
        if protocol not in PROTOCOLS or size not in (4, 16) or not port or any(address[size:]):
            raise OpenPlacesError(f"open places: {protocol} {address.hex()}/{size} {port}")
        found.add(OpenPlace(protocol, address[:size], port))
    return frozenset(found)


def write(places: Iterable[OpenPlace]) -> int:
    """A file in memory that holds a list, the caller's to close (memfd_create(2))."""
    descriptor = os.memfd_create("open-places", os.MFD_CLOEXEC)
    try:
        rest = memoryview(encode(places))
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read(descriptor: int) -> frozenset[OpenPlace]:
    """The list in such a file. Raises OpenPlacesError, OSError."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "open places: not a file")
    if status.st_size > MOST * _RECORD.size:
        raise OpenPlacesError(f"open places: {status.st_size} bytes")
    data = b""
    while len(data) < status.st_size and (more := os.pread(descriptor, status.st_size, len(data))):
        data += more
    return decode(data)
