"""The Internet checksum (RFC 1071).

The sum of 16-bit words in one's complement is a remainder by 65,535, which Python's long integers
give without a loop. Sums here are such remainders, from 0 to 65,534.
"""

from __future__ import annotations

import struct
from typing import Final

Buffer = bytes | bytearray | memoryview

_FOLDS: Final = tuple(
    (bits, (1 << bits) - 1) for bits in (262_144, 131_072, 65_536, 32_768, 16_384)
)
_M5120: Final = (1 << 5120) - 1
_M2560: Final = (1 << 2560) - 1
_M1280: Final = (1 << 1280) - 1
_M640: Final = (1 << 640) - 1
_read = int.from_bytes


def word_sum(data: Buffer) -> int:
    """The sum of the 16-bit words of `data` by 65,535; an odd last byte counts as if 0 followed.

    A long number is folded first: adding its halves keeps the remainder, and is quicker than
    dividing. Read as little-endian, the words' bytes are swapped, and so are those of the sum
    (RFC 1071, section 2, part B); the odd byte then needs no care.
    """
    size = len(data)
    number = _read(data, "little")
    if size > 160:
        if size > 1600:
            for bits, mask in _FOLDS:
                number = (number & mask) + (number >> bits)
        if size > 640:
            number = (number & _M5120) + (number >> 5120)
            number = (number & _M2560) + (number >> 2560)
        number = (number & _M1280) + (number >> 1280)
        number = (number & _M640) + (number >> 640)
    swapped = number % 65535
    return (swapped & 0xFF) << 8 | swapped >> 8


def checksum(total: int) -> int:
    """The field's value for a sum of everything else that it covers, of any size.

    What it covers is never all zero, so that a sum of 0 means 65,535 and gives 0.
    """
    return 0xFFFF - (total % 65535 or 0xFFFF)


def pseudo_sum(addresses: Buffer, protocol: int, length: int) -> int:
    """The sum of a pseudo-header: source and destination together, 4 or 16 bytes each.

    See RFC 9293, section 3.1, and RFC 8200, section 8.1; `length` is that of the upper layer.
    """
    return word_sum(addresses) + protocol + (length >> 16) + (length & 0xFFFF)


def finish(packet: bytearray, start: int, offset: int) -> None:
    """Make the checksum at `start` + `offset`, whose field holds the sum of a pseudo-header.

    It covers everything from `start` on. Zero is written as 65,535, which is equal, as UDP needs
    (RFC 768).
    """
    value = checksum(word_sum(memoryview(packet)[start:])) or 0xFFFF
    struct.pack_into(">H", packet, start + offset, value)
