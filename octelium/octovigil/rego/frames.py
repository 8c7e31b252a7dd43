"""Messages between a process and the one that evaluates Rego modules for it.

A frame is the length of its payload in 4 bytes, most significant first, and the payload in
MessagePack.
"""

from __future__ import annotations

import struct
from typing import Final, TypeVar

import msgspec

MAX_FRAME: Final = 64 * 1024 * 1024
"""Bytes of a payload."""
_HEAD: Final = struct.Struct(">I")
_T = TypeVar("_T")


class FrameError(Exception):
    """What came is no frame, or no message."""


class Question(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """An evaluation that is asked for; `document` is the input in JSON."""

    text: str
    package: str
    rule: str
    document: bytes
    now_ns: int | None = None


class Answer(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What an evaluation came to: an `error`, or a `value` in JSON, empty if it is undefined."""

    value: bytes = b""
    error: str = ""
    spent: bool = False
    """The error is that it takes more than it may."""


READY: Final = Answer(b"ready")
"""What the evaluating process says first."""


def pack(message: Question | Answer) -> bytes:
    """A message as a frame.

    Raises:
        FrameError: it is too long.
    """
    payload = msgspec.msgpack.encode(message)
    if len(payload) > MAX_FRAME:
        raise FrameError(f"a message has {len(payload)} bytes")
    return _HEAD.pack(len(payload)) + payload


class Reader:
    """Collects bytes until they are a frame."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._data += data

    def frame(self) -> bytes | None:
        """The payload of the next frame, or None while it is not complete.

        Raises:
            FrameError: it is too long.
        """
        if len(self._data) < _HEAD.size:
            return None
        (size,) = _HEAD.unpack_from(self._data)
        if size > MAX_FRAME:
            raise FrameError(f"a frame claims {size} bytes")
        end = _HEAD.size + size
        if len(self._data) < end:
            return None
        payload = bytes(self._data[_HEAD.size : end])
        del self._data[:end]
        return payload


def read_question(payload: bytes) -> Question:
    """A question from a payload.

    Raises:
        FrameError: it is none.
    """
    return _decoded(payload, Question)


def read_answer(payload: bytes) -> Answer:
    """An answer from a payload.

    Raises:
        FrameError: it is none.
    """
    return _decoded(payload, Answer)


def _decoded(payload: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"this is no {kind.__name__.lower()}: {error}") from None
