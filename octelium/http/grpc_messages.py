"""What gRPC writes around its messages, without a library of it.

The gRPC project's PROTOCOL-HTTP2.md: a message is prefixed by a flag and its length; a call ends
with trailers that hold its status.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from octelium.http.message import Fields

_PREFIX: Final = Struct(">BL")
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_is_media_type = re.compile(rb"application/grpc(?:\+proto)?(?:;.*)?", re.IGNORECASE).fullmatch
_timeout = re.compile(rb"([0-9]{1,8})([HMSmun])").fullmatch
_unsafe = re.compile(rb"[^\x20-\x24\x26-\x7e]").sub


class CompressedError(Exception):
    """A message is compressed; its size is only known when it has been unpacked."""


class TooLargeError(Exception):
    """A message has `size` bytes, more than are taken."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Splitter:
    """Cuts a body into messages. `most` is how many bytes one may have.

    Every byte is copied a fixed number of times, however small the pieces are in which it comes.
    """

    __slots__ = ("_most", "_needed", "_rest")

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest: bytearray | None = None
        self._needed = _PREFIX.size
        """Bytes of `_rest` before which there is nothing to look at."""

    @property
    def waiting(self) -> int:
        """How many bytes there are of a message that has begun and is not complete."""
        return 0 if self._rest is None else len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes.

        Raises:
            CompressedError: one is compressed, or has a flag that nobody knows.
            TooLargeError: one is larger than allowed.
        """
        rest: bytes | bytearray = data
        if self._rest is not None:
            rest = self._rest
            rest += data
            if len(rest) < self._needed:
                return []
        found = []
        position, size = 0, len(rest)
        needed = _PREFIX.size
        while size - position >= needed:
            flag, length = _PREFIX.unpack_from(rest, position)
            if flag:
                raise CompressedError
            if length > self._most:
                raise TooLargeError(length)
            start = position + _PREFIX.size
            if start + length > size:
                needed = _PREFIX.size + length
                break
            position = start + length
            found.append(bytes(rest[start:position]))
        self._needed = needed
        if position == size:
            self._rest = None
        elif isinstance(rest, bytearray):
            del rest[:position]
        else:
            self._rest = bytearray(rest[position:])
        return found


def framed(message: bytes) -> bytes:
    """A message with its prefix."""
    return _PREFIX.pack(0, len(message)) + message


def is_media_type(content_type: bytes | None) -> bool:
    """Whether a `Content-Type` is that of gRPC with protobuf."""
    return content_type is not None and _is_media_type(content_type) is not None


def seconds_of(timeout: bytes | None) -> float | None:
    """What `grpc-timeout` says; None if nothing that can be understood."""
    match = None if timeout is None else _timeout(timeout)
    return None if match is None else int(match[1]) * _UNITS[match[2]]


def status_fields(code: int, text: str) -> Fields:
    """The fields that tell how a call ended; `text` in its percent-encoding."""
    number = (b"grpc-status", b"%d" % code)
    if not text:
        return (number,)
    coded = _unsafe(lambda match: b"%%%02X" % match[0][0], text.encode("utf-8", "replace"))
    return (number, (b"grpc-message", coded))
