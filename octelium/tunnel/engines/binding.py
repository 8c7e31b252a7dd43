"""Sockets of this network namespace for a program that runs in another one.

A program's UDP sockets are those of the namespace that it is in, and wireguard-go wants to be where
its TUN device is. So the kernel asks us before each bind(2) of an IP socket (seccomp_unotify(2)),
and we put a socket of our own, bound, in the place of the program's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BINDS: Final = {"x86_64": (0xC000003E, 317, 49), "aarch64": (0xC00000B7, 277, 200)}
"""Machine → (AUDIT_ARCH of linux/audit.h, number of seccomp(2), number of bind(2))."""
_LENGTHS: Final = {16: socket.AF_INET, 28: socket.AF_INET6}
"""Bytes of a socket address of each family."""
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCH, _LENGTH = 0, 4, 32
"""Where `struct seccomp_data` has the call's number, and the low half of its third argument."""
_RECV, _SEND, _ADDFD = 0xC0502100, 0xC0182101, 0x40182103
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDED = struct.Struct("=QIIII")
_SETFD: Final = 1
_OVER: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL


def seccomp_filter(machine: str | None = None) -> bytes:
    """A program of classic BPF that asks about binding IP sockets and allows everything else.

    Raises:
        NotImplementedError: for another machine.
    """
    try:
        arch, _, bind = BINDS[machine or platform.machine()]
    except KeyError:
        raise NotImplementedError(f"not on {machine or platform.machine()}") from None
    steps = (
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 0, 6, arch),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 4, bind),
        (_LOAD, 0, 0, _LENGTH),
        (_EQUAL, 1, 0, 16),
        (_EQUAL, 0, 1, 28),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _ALLOW),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


class Binder(threading.Thread):
    """Answers the kernel's questions about one program until it ends; `listener` is then closed.

    A thread of its own: who tells the program to bind waits for it at the same time.
    """

    def __init__(
        self, listener: int, make: Callable[[socket.AddressFamily], socket.socket]
    ) -> None:
        super().__init__(name="binder", daemon=True)
        self._listener = listener
        self._make = make

    def run(self) -> None:
        """Answer until the program is gone."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while not any(events & _OVER for _, events in poll.poll()):
                self._answer()
        finally:
            os.close(self._listener)

    def _answer(self) -> None:
        question = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, _RECV, question)
        except OSError as error:
            if error.errno == errno.ENOENT:  # a signal came between; the program asks again
                return
            raise
        number, thread, _, _, _, _, descriptor, _, length, *_ = _NOTIFICATION.unpack(question)
        try:
            with self._make(_LENGTHS[length & 0xFFFFFFFF]) as made:
                made.setblocking(not _nonblocking(thread, descriptor))
                place = _ADDED.pack(number, _SETFD, made.fileno(), descriptor, os.O_CLOEXEC)
                fcntl.ioctl(self._listener, _ADDFD, place)
            response = _RESPONSE.pack(number, 0, 0, 0)
        except OSError as error:
            response = _RESPONSE.pack(number, 0, -(error.errno or errno.EIO), 0)
        try:
            fcntl.ioctl(self._listener, _SEND, response)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _nonblocking(thread: int, descriptor: int) -> bool:
    """Whether a thread's descriptor is so, which its socket's stand-in must then be too."""
    for line in Path(f"/proc/{thread}/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("flags:"):
            return bool(int(line.split()[1], 8) & os.O_NONBLOCK)
    raise OSError(errno.EBADF, "no flags")
