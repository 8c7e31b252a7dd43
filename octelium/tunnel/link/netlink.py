"""Netlink messages: how routes, addresses and filters are told to the kernel (netlink(7)).

Requests are answered within the system call that sends them, so nothing here waits.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

ROUTE = 0
NETFILTER = 12
REQUEST = 0x1
ACK = 0x4
REPLACE = 0x100
EXCLUSIVE = 0x200
CREATE = 0x400
DUMP = 0x300
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NESTED = 0x8000
_TYPE = 0x3FFF
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_EXT_ACK_TEXT = 1
_HAS_TEXT = 0x200
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 1 << 20


class NetlinkError(OSError):
    """The kernel refused a request; `errno` is its reason."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request: the family's message type and its body after the netlink header."""

    kind: int
    body: bytes
    flags: int = 0


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    padding = b"\0" * (-len(value) % 4)
    return _ATTRIBUTE.pack(len(value) + 4, kind) + value + padding


def text(kind: int, value: str) -> bytes:
    """An attribute that is a C string."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`, in order; ValueError if one does not fit."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not 4 <= length <= len(data) - offset:
            raise ValueError(f"netlink attribute of {length} bytes at {offset} of {len(data)}")
        yield kind & _TYPE, data[offset + 4 : offset + length]
        offset += length + (-length % 4)


class Netlink:
    """A socket to one family of the kernel's, in the network namespace of the caller."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family
        )
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.settimeout(5.0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; what the kernel keeps as its own ends with it."""
        self._socket.close()

    def ask(self, message: Message) -> None:
        """Send one request and check its acknowledgement. Raises NetlinkError."""
        self._send([message], ACK)
        for _ in self._answers():
            pass

    def dump(self, message: Message) -> list[tuple[int, bytes]]:
        """Type and body of everything of a kind. Raises NetlinkError."""
        self._send([message], DUMP)
        return list(self._answers())

    def batch(self, begin: Message, messages: Sequence[Message], end: Message) -> None:
        """Send several requests that count together or not at all. Raises NetlinkError.

        Only the last is acknowledged; every one that fails says so.
        """
        *first, last = messages
        self._send([begin, *first, Message(last.kind, last.body, last.flags | ACK), end], 0)
        errors: list[NetlinkError] = []
        acknowledged = False
        self._socket.setblocking(False)
        try:
            while True:
                for kind, flags, body in split(self._socket.recv(_BUFFER)):
                    if kind != _NLMSG_ERROR:
                        continue
                    error = _error(flags, body)
                    acknowledged |= error is None
                    if error is not None:
                        errors.append(error)
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(5.0)
        if errors:
            raise errors[0]
        if not acknowledged:
            raise NetlinkError(0, "the kernel did not acknowledge a netlink batch")

    def _send(self, messages: Sequence[Message], flags: int) -> None:
        parts = []
        for message in messages:
            self._sequence += 1
            parts.append(
                _HEADER.pack(
                    _HEADER.size + len(message.body),
                    message.kind,
                    REQUEST | flags | message.flags,
                    self._sequence,
                    0,
                )
                + message.body
                + b"\0" * (-len(message.body) % 4)
            )
        self._socket.send(b"".join(parts))

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """What comes until the end of an answer."""
        while True:
            for kind, flags, body in split(self._socket.recv(_BUFFER)):
                if kind == _NLMSG_ERROR:
                    if (error := _error(flags, body)) is not None:
                        raise error
                    return
                if kind == _NLMSG_DONE:
                    if len(body) >= 4 and (error := _error(0, body)) is not None:
                        raise error
                    return
                yield kind, body


def split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each message in one datagram; ValueError if one does not fit."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
        if not _HEADER.size <= length <= len(data) - offset:
            raise ValueError(f"netlink message of {length} bytes at {offset} of {len(data)}")
        yield kind, flags, data[offset + _HEADER.size : offset + length]
        offset += length + (-length % 4)


def _error(flags: int, body: bytes) -> NetlinkError | None:
    """What an acknowledgement says; None if all is well. Raises ValueError for what is none."""
    if len(body) < 4:
        raise ValueError(f"netlink error of {len(body)} bytes")
    number = -int(struct.unpack_from("=i", body)[0])
    if number == 0:
        return None
    said = ""
    if flags & _HAS_TEXT:
        # After the number comes the header of the request, alone because of NETLINK_CAP_ACK.
        for kind, value in attributes(body[4 + _HEADER.size :]):
            if kind == _EXT_ACK_TEXT:
                said = ": " + value.rstrip(b"\0").decode(errors="replace")
    return NetlinkError(number, os.strerror(number) + said)
