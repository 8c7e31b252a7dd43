"""Listening sockets that outlive the processes which accept on them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING

from octelium.tunnel.engines.udp import enlarge

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
            if not _has_no_ipv6(error):
                raise
    return sockets


def listen_udp(address: Address, setting: str) -> list[socket.socket]:
    """Receive datagrams at an address, exclusively; an empty host means both families.

    Raises:
        ListenError: the address is taken, forbidden, or not this machine's.
    """
    label = f"{setting} {address}"
    if address.host:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return [_bind_udp(family, address.host, address.port, label)]
    sockets = [_bind_udp(socket.AF_INET, "0.0.0.0", address.port, label)]  # noqa: S104
    if socket.has_ipv6:
        try:
            sockets.append(_bind_udp(socket.AF_INET6, "::", address.port, label))
        except ListenError as error:
            if not _has_no_ipv6(error):
                sockets[0].close()
                raise
    return sockets


def _has_no_ipv6(error: ListenError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _bind_udp(family: socket.AddressFamily, host: str, port: int, label: str) -> socket.socket:
    try:
        bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise ListenError(f"{label}: {error}") from error
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _refusal(label, error) from error
    enlarge(bound)
    return bound


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
        raise _refusal(label, error) from error
    bound.setblocking(False)
    return bound


def _refusal(label: str, error: OSError) -> ListenError:
    remedy = {
        errno.EADDRINUSE: "another process listens there; stop it or choose another port",
        errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE; "
        "choose a higher port or start as root",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }.get(error.errno or 0, os.strerror(error.errno or 0))
    return ListenError(f"{label}: {remedy}")


def listen_apart(path: Path) -> socket.socket:
    """As `listen_unix`, outside the data directory: a socket that nobody listens on gives way.

    Raises:
        ListenError: somebody listens there, or the path cannot be bound.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            if path.is_socket():  # so it is for other files, too
                with contextlib.suppress(OSError):  # binding tells
                    path.unlink()
        except OSError:
            pass  # binding tells what is wrong, if anything is
        else:
            raise ListenError(f"{path}: another process listens there; choose another path")
    return listen_unix(path, "see that its folder exists, belongs to this user, and is short")


def listen_unix(path: Path, remedy: str = "a shorter --data-dir may help") -> socket.socket:
    """Listen on a Unix socket that only this user may open. `remedy` is part of error texts.

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
        raise ListenError(f"{path}: {error}; {remedy}") from error
    finally:
        os.umask(before)
    bound.setblocking(False)
    return bound
