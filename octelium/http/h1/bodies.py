"""Bodies of HTTP/1.1 as state machines without I/O (RFC 9112, sections 6 and 7)."""

from __future__ import annotations

import re
from typing import Final, Protocol

from octelium.http.message import Fields, MessageError
from octelium.http.section import parse_section
from octelium.http.syntax import NOT_IN_TRAILERS

MAX_CHUNK_LINE: Final = 1024
"""Bytes of one chunk-size line, its extensions included."""
MAX_EXTENSIONS: Final = 16 << 10
"""Bytes of chunk extensions in one message, beyond which the peer is only heating the CPU."""
MAX_TRAILERS: Final = 16 << 10

_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?").fullmatch


class Body(Protocol):
    """Takes a message's bytes after its head and finds where it ends."""

    done: bool
    trailers: Fields

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Take bytes; give the body's pieces and, once `done`, what follows the message.

        Raises:
            MessageError: the body is malformed.
        """

    def finish(self) -> None:
        """The connection ended.

        Raises:
            MessageError: the body is not complete.
        """


class LengthBody:
    """A body of known length."""

    __slots__ = ("done", "left", "trailers")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.trailers: Fields = ()

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """See `Body.feed`."""
        size = len(data)
        if size < self.left:
            self.left -= size
            return [data] if data else [], b""
        left, self.left, self.done = self.left, 0, True
        if size == left:
            return [data] if data else [], b""
        return [data[:left]] if left else [], data[left:]

    def finish(self) -> None:
        """See `Body.finish`."""
        if not self.done:
            raise MessageError("body ended early")


class ChunkedBody:
    """A body in chunks, with extensions ignored and trailers filtered.

    Trailers that could change how the message is framed, routed or authorised are dropped
    (RFC 9110, section 6.5.1).
    """

    __slots__ = ("_buffer", "_extensions", "_left", "_state", "done", "trailers")

    _SIZE, _DATA, _DATA_END, _TRAILERS = range(4)

    def __init__(self) -> None:
        self._buffer = b""
        self._state = self._SIZE
        self._left = 0
        self._extensions = 0
        self.done = False
        self.trailers: Fields = ()

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """See `Body.feed`."""
        pieces: list[bytes] = []
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position, size = 0, len(data)
        while position < size:
            if self._state == self._DATA:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                pieces.append(piece)
                if self._left == 0:
                    self._state = self._DATA_END
            elif self._state == self._DATA_END:
                end = data[position : position + 2]
                if not b"\r\n".startswith(end):
                    raise MessageError("chunk is longer than its size")
                if len(end) < 2:
                    self._buffer = end
                    break
                position += 2
                self._state = self._SIZE
            elif self._state == self._SIZE:
                end_of_line = data.find(b"\r\n", position, position + MAX_CHUNK_LINE + 2)
                if end_of_line < 0:
                    self._keep(data[position:], MAX_CHUNK_LINE, "chunk-size line")
                    break
                self._start_chunk(data[position:end_of_line])
                position = end_of_line + 2
            else:
                rest = self._finish_trailers(data[position:])
                if rest is None:
                    break
                return pieces, rest
        return pieces, b""

    def finish(self) -> None:
        """See `Body.finish`."""
        if not self.done:
            raise MessageError("body ended early")

    def _keep(self, data: bytes, limit: int, what: str) -> None:
        if len(data) > limit:
            raise MessageError(f"{what} is too long")
        line_feed = data.find(b"\n")
        if line_feed >= 0 and data[line_feed - 1 : line_feed] != b"\r":
            raise MessageError(f"bare LF in {what}")
        self._buffer = data

    def _start_chunk(self, line: bytes) -> None:
        match = _chunk_line(line)
        if match is None:
            raise MessageError("malformed chunk size")
        self._extensions += len(line) - len(match[1])
        if self._extensions > MAX_EXTENSIONS:
            raise MessageError("too many chunk extensions")
        self._left = int(match[1], 16)
        self._state = self._DATA if self._left else self._TRAILERS

    def _finish_trailers(self, data: bytes) -> bytes | None:
        if data.startswith(b"\r\n"):
            self.done = True
            return data[2:]
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._keep(data, MAX_TRAILERS, "trailer section")
            return None
        if end > MAX_TRAILERS:
            raise MessageError("trailer section is too long")
        fields = parse_section(data[: end + 2]).fields
        self.trailers = tuple(field for field in fields if field[0] not in NOT_IN_TRAILERS)
        self.done = True
        return data[end + 4 :]


class CloseBody:
    """A response body that ends with the connection."""

    __slots__ = ("done", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.trailers: Fields = ()

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """See `Body.feed`."""
        return [data] if data else [], b""

    def finish(self) -> None:
        """See `Body.finish`."""
        self.done = True
