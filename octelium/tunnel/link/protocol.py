"""What is said between the link process and who uses it: one JSON object a datagram, descriptors
beside it (unix(7), SCM_RIGHTS).
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from octelium.tunnel.link.opening import Kind
from octelium.tunnel.link.plan import LinkPlan, PlanError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 16384
"""Bytes of one datagram."""
MOST_SOCKETS = 64
"""Sockets in one reply; the kernel allows 253 descriptors."""
_BACKLOG = 256
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NUMBERS = {family: number for number, family in _FAMILIES.items()}
_KEYS: dict[str, frozenset[str]] = {
    "listen": frozenset({"kind", "family", "port"}),
    "adopt": frozenset({"kind", "family", "port"}),
    "release": frozenset({"kind", "family", "port"}),
    "sockets": frozenset({"kind", "family", "count"}),
    "tun": frozenset(),
    "configure": frozenset({"plan"}),
    "status": frozenset(),
}


class ProtocolError(Exception):
    """Not a request; the text says why. Who sent it is hung up on."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Which of the last members count is told by `do`."""

    number: int
    do: str
    """`listen`, `adopt`, `release`, `sockets`, `tun`, `configure` or `status`."""
    kind: Kind = "tcp"
    family: socket.AddressFamily = socket.AF_INET
    port: int = 0
    count: int = 0
    plan: LinkPlan | None = None

    def encode(self) -> bytes:
        """The datagram."""
        values: dict[str, Any] = {
            "kind": self.kind,
            "family": _NUMBERS[self.family],
            "port": self.port,
            "count": self.count,
            "plan": self.plan and self.plan.to_wire(),
        }
        said = {key: values[key] for key in sorted(_KEYS[self.do])}
        return json.dumps({"number": self.number, "do": self.do, **said}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Request:
        """The reverse. Raises ProtocolError for anything that is not exactly a request."""
        given = _object(data)
        number, do = given.pop("number", None), given.pop("do", None)
        if not _whole(number, 0, 2**31 - 1):
            raise ProtocolError("number: not a whole number from 0 to 2147483647")
        if not isinstance(do, str) or do not in _KEYS:
            raise ProtocolError("do: no such request")
        if set(given) != _KEYS[do]:
            raise ProtocolError(f"{do} takes exactly {sorted(_KEYS[do])}")
        if "kind" in given and given["kind"] not in get_args(Kind):
            raise ProtocolError("kind: neither tcp nor udp")
        if "family" in given:
            if not _whole(given["family"], 4, 6) or given["family"] not in _FAMILIES:
                raise ProtocolError("family: neither 4 nor 6")
            given["family"] = _FAMILIES[given["family"]]
        if "port" in given and not _whole(given["port"], 1, 65535):
            raise ProtocolError("port: not a whole number from 1 to 65535")
        if "count" in given and not _whole(given["count"], 1, MOST_SOCKETS):
            raise ProtocolError(f"count: not a whole number from 1 to {MOST_SOCKETS}")
        if "plan" in given:
            try:
                given["plan"] = LinkPlan.from_wire(given["plan"])
            except PlanError as error:
                raise ProtocolError(str(error)) from error
        return cls(number, do, **given)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the request of that number."""

    number: int
    error: str = ""
    errno: int = 0
    again: bool = False
    """With an error: it may go away, as when no plan has come yet."""
    result: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The datagram."""
        said: dict[str, Any] = {"number": self.number}
        if self.error:
            said |= {"error": self.error, "errno": self.errno, "again": self.again}
        else:
            said["result"] = self.result
        return json.dumps(said).encode()

    @classmethod
    def decode(cls, data: bytes) -> Reply:
        """The reverse. Raises ProtocolError."""
        try:
            return cls(**_object(data))
        except TypeError as error:
            raise ProtocolError(str(error)) from error


def listen(path: Path) -> socket.socket:
    """Make the socket at which a link process serves, for this user alone.

    Raises:
        OSError: the path cannot be bound, for instance because it is too long.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """One datagram and the descriptors beside it, which the caller closes; empty at the end.

    Raises:
        ProtocolError: a datagram too long, or with too many descriptors.
        OSError: as recvmsg(2); BlockingIOError if nothing is there.
    """
    data, descriptors, flags, _ = socket.recv_fds(
        channel, LONGEST, MOST_SOCKETS, socket.MSG_CMSG_CLOEXEC
    )
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for descriptor in descriptors:
            os.close(descriptor)
        raise ProtocolError("a datagram too long, or with too many descriptors")
    return data, descriptors


def _object(data: bytes) -> dict[str, Any]:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(given, dict):
        raise ProtocolError("not an object")
    return given


def _whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most
