"""Frames of HTTP/2: their numbers and how they are written (RFC 9113, sections 4, 6 and 7)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (section 3.4)."""

HEAD_SIZE: Final = 9
"""Bytes of a frame before its payload."""

DEFAULT_WINDOW: Final = 65_535
MAX_WINDOW: Final = 2**31 - 1
MIN_MAX_FRAME: Final = 16_384
MAX_MAX_FRAME: Final = 2**24 - 1

# Frame types.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

# Flags.
END_STREAM: Final = 0x01
ACK: Final = 0x01
END_HEADERS: Final = 0x04
PADDED: Final = 0x08
PRIORITISED: Final = 0x20


class Setting(IntEnum):
    """Parameters of SETTINGS (section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Reasons in RST_STREAM and GOAWAY (section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class H2ConnectionError(Exception):
    """The peer did what ends the connection (section 5.4.1); `str()` never repeats its bytes."""

    def __init__(self, code: ErrorCode, problem: str) -> None:
        super().__init__(problem)
        self.code = code


class H2StreamError(Exception):
    """The peer did what ends one stream only (section 5.4.2).

    `status` is what a server answers before it resets the stream, or 0.
    """

    def __init__(self, code: ErrorCode, problem: str, status: int = 0) -> None:
        super().__init__(problem)
        self.code = code
        self.status = status


HEAD: Final = Struct(">BHBBL")
"""A frame's head: high and low bits of the length, type, flags, stream."""

LONG: Final = Struct(">L")
SETTING: Final = Struct(">HL")
GOAWAY_HEAD: Final = Struct(">LL")

_CONTROL: Final = Struct(">BHBBLL")


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    """A frame for stream `number` (0: the connection)."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, number) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join([SETTING.pack(*pair) for pair in values]))


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0)


def rst_stream(number: int, code: int) -> bytes:
    """A frame that ends stream `number`."""
    return _CONTROL.pack(0, 4, RST_STREAM, 0, number, code)


def window_update(number: int, credit: int) -> bytes:
    """A frame that allows the peer `credit` more bytes (1 to 2³¹-1)."""
    return _CONTROL.pack(0, 4, WINDOW_UPDATE, 0, number, credit)


def goaway(last: int, code: int) -> bytes:
    """A frame that says that streams of the peer above `last` were not and will not be served."""
    return frame(GOAWAY, 0, 0, GOAWAY_HEAD.pack(last, code))


def headers(number: int, block: bytes, *, end: bool, max_frame: int) -> bytes:
    """HEADERS, and CONTINUATION as far as `block` is longer than `max_frame`."""
    flags = END_STREAM if end else 0
    size = len(block)
    if size <= max_frame:
        return HEAD.pack(size >> 16, size & 0xFFFF, HEADERS, flags | END_HEADERS, number) + block
    parts = [frame(HEADERS, flags, number, block[:max_frame])]
    for start in range(max_frame, size, max_frame):
        last = END_HEADERS if start + max_frame >= size else 0
        parts.append(frame(CONTINUATION, last, number, block[start : start + max_frame]))
    return b"".join(parts)
