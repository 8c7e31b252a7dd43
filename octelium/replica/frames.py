"""Frames on a stream: four bytes of length (big-endian), one byte of type, the payload."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from octelium.replica.errors import FeedError

if TYPE_CHECKING:
    from collections.abc import Iterator

M = TypeVar("M", bound=Message)

LARGEST = 32 * 1024 * 1024
"""The largest payload in bytes."""

_HEADER = 5


class FrameType(enum.IntEnum):
    """What a payload is: the serialized message of that name in `octelium.feed.v1`."""

    HELLO = 1
    COMMIT = 2
    BATCH = 3
    ACK = 4
    ASK = 5


_TYPES = {int(frame_type): frame_type for frame_type in FrameType}


def frame(frame_type: FrameType, payload: bytes) -> bytes:
    """The bytes of one frame. Raises FeedError for a payload beyond LARGEST."""
    if len(payload) > LARGEST:
        raise FeedError(f"a frame of {len(payload)} bytes is larger than {LARGEST}")
    return len(payload).to_bytes(4) + bytes((frame_type,)) + payload


def parsed(message_class: type[M], payload: bytes) -> M:
    """The message in a frame. Raises FeedError for bytes that are none."""
    try:
        return message_class.FromString(payload)
    except DecodeError as error:
        raise FeedError(f"a {message_class.DESCRIPTOR.name} cannot be read") from error


class FrameReader:
    """Cuts a stream into frames. `largest` is that of a payload, and may change between frames."""

    __slots__ = ("_buffer", "largest")

    def __init__(self, largest: int = LARGEST) -> None:
        self._buffer = bytearray()
        self.largest = largest

    def feed(self, data: bytes) -> Iterator[tuple[FrameType, bytes]]:
        """Frames that are complete with `data`; consume them all before feeding more.

        Raises FeedError for an unknown type or an oversized frame.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= _HEADER:
                size = int.from_bytes(self._buffer[start : start + 4])
                frame_type = _TYPES.get(self._buffer[start + 4])
                if frame_type is None or size > self.largest:
                    raise FeedError(f"a frame of type {self._buffer[start + 4]}, {size} bytes")
                end = start + _HEADER + size
                if len(self._buffer) < end:
                    break
                payload = bytes(memoryview(self._buffer)[start + _HEADER : end])
                start = end
                yield frame_type, payload
        finally:
            del self._buffer[:start]
