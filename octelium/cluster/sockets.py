"""Listening sockets that outlive the processes which accept on them."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.cluster.settings import Address

BACKLOG = 1024


class ListenError(Exception):
    """An address cannot be listened on; the text says why and what to do."""


def listen_tcp(address: Address, setting: str) -> list[socket.socket]:
    """Listen on an address, exclusively; an empty host means all addresses of both families.

    Raises:
        ListenError: the address is taken, forbidden, or not this machine's.
    """
    if address.host:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return [_bind(family, address.host, address.port, f"{setting} {address}")]
    sockets = [_bind(socket.AF_INET, "0.0.0.0", address.port, f"{setting} {address}")]  # noqa: S104
    if socket.has_ipv6:
        try:
            sockets.append(_bind(socket.AF_INET6, "::", address.port, f"{setting} {address}"))
        except ListenError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in (
                errno.EAFNOSUPPORT,
                errno.EADDRNOTAVAIL,
            ):
                raise
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int, label: str) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Only lets us bind while old connections are in TIME_WAIT; a second listener is refused.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        remedy = {
            errno.EADDRINUSE: "another process listens there; stop it or choose another port",
            errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE; "
            "choose a higher port or start as root",
            errno.EADDRNOTAVAIL: "this machine has no such address",
        }.get(error.errno or 0, os.strerror(error.errno or 0))
        raise ListenError(f"{label}: {remedy}") from error
    bound.setblocking(False)
    return bound


def listen_unix(path: Path) -> socket.socket:
    """Listen on a Unix socket that only this user may open.

    Raises:
        ListenError: the path cannot be bound, for instance because it is too long.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ListenError(f"{path}: {error}; a shorter --data-dir may help") from error
    finally:
        os.umask(before)
    bound.setblocking(False)
    return bound
