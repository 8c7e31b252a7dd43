"""gRPC-Web: gRPC for browsers, which can neither read trailers nor, in text form, binary bodies.

The gRPC project's PROTOCOL-WEB.md: a body is that of gRPC with one more frame for the trailers,
and in the text form all of it in base64, padded at the end of any frame.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.http.message import MessageError

if TYPE_CHECKING:
    from octelium.http.message import Fields

_TRAILERS: Final = 0x80
"""Flag of the frame that holds the trailers."""
_PREFIX: Final = 5
"""Bytes before a frame's content: a flag and a length of four bytes."""

_media_type = re.compile(rb"application/grpc-web(-text)?(\+[a-z0-9.-]+)?", re.IGNORECASE).fullmatch
_spaces = re.compile(rb"[\r\n]").sub


class Form(NamedTuple):
    """Which form of gRPC-Web a media type names. `codec` is as in `application/grpc+proto`."""

    text: bool
    codec: bytes

    @property
    def media_type(self) -> bytes:
        """Of a body in this form."""
        return b"application/grpc-web%b%b" % (b"-text" if self.text else b"", self.codec)

    @property
    def grpc(self) -> bytes:
        """The media type of the same messages in gRPC."""
        return b"application/grpc" + self.codec


def form_of(media_type: bytes | None) -> Form | None:
    """The form that a `Content-Type` or an element of `Accept` names, or None."""
    if media_type is None:
        return None
    match = _media_type(media_type.partition(b";")[0].strip())
    return None if match is None else Form(match[1] is not None, (match[2] or b"").lower())


class TextDecoder:
    """Decodes the text form as it arrives."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        """The bytes of all complete groups of four characters so far.

        Raises:
            MessageError: it is no base64.
        """
        data = self._rest + _spaces(b"", data)
        whole = len(data) - len(data) % 4
        self._rest = data[whole:]
        out = bytearray()
        start = 0
        while start < whole:
            # Padding ends a frame, not the body.
            pad = data.find(b"=", start, whole)
            end = whole if pad < 0 else pad - pad % 4 + 4
            try:
                out += binascii.a2b_base64(data[start:end], strict_mode=True)
            except binascii.Error:
                raise MessageError("the body of a gRPC-Web request is no base64") from None
            start = end
        return bytes(out)

    def close(self) -> None:
        """The body is complete. Raises MessageError if it ends within a group."""
        if self._rest:
            raise MessageError("the body of a gRPC-Web request ends within a group of base64")


class TextEncoder:
    """Encodes a body of gRPC frames; every frame is complete for the client once it was sent."""

    __slots__ = ("_left", "_prefix", "_rest")

    def __init__(self) -> None:
        self._prefix = b""
        """What is known of the prefix of the frame that has begun."""
        self._left = 0
        """Bytes that the current frame's content still has."""
        self._rest = b""
        """Bytes that are not encoded yet: fewer than three."""

    def encode(self, data: bytes) -> bytes:
        """The text of as much of the body as can be sent."""
        out = bytearray()
        position = 0
        while position < len(data):
            if self._left:
                part = data[position : position + self._left]
                self._left -= len(part)
            else:
                part = data[position : position + _PREFIX - len(self._prefix)]
                self._prefix += part
                if len(self._prefix) == _PREFIX:
                    self._left = int.from_bytes(self._prefix[1:], "big")
                    self._prefix = b""
            position += len(part)
            ended = not self._left and not self._prefix
            out += self._take(part, ended=ended)
        return bytes(out)

    def close(self) -> bytes:
        """The text of what is left of a body that ends within a frame."""
        return self._take(b"", ended=True)

    def _take(self, part: bytes, *, ended: bool) -> bytes:
        part = self._rest + part
        whole = len(part) if ended else len(part) - len(part) % 3
        self._rest = part[whole:]
        return binascii.b2a_base64(part[:whole], newline=False)


def trailer_frame(trailers: Fields) -> bytes:
    """The frame that stands for trailers; names are lower-case."""
    lines = b"".join([b"%b:%b\r\n" % field for field in trailers])
    return bytes([_TRAILERS]) + len(lines).to_bytes(4, "big") + lines
