"""The private network namespace (network_namespaces(7), user_namespaces(7)).

A namespace lives as long as somebody holds a descriptor of it. The supervisor, or the client, does
so, and gives the descriptors to each link process, which enters.

Making one needs a process of one thread that may change its own namespaces, so a short-lived
process does it: this file, run by itself.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SECONDS = 20
_REMEDY = (
    "start as root, or let users make user namespaces: sysctl user.max_user_namespaces above 0, "
    "kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile (Ubuntu)"
)


class NamespaceError(Exception):
    """No private network namespace can be had; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class PrivateNamespace:
    """Descriptors of a network namespace, and of the user namespace that owns it, if its own."""

    net: int
    user: int | None = None

    @classmethod
    def of(cls, descriptors: list[int]) -> PrivateNamespace:
        """The reverse of `descriptors`."""
        net, *user = descriptors
        return cls(net, user[0] if user else None)

    @property
    def descriptors(self) -> list[int]:
        """What to hand to a process that shall enter."""
        return [self.net] if self.user is None else [self.net, self.user]

    def enter(self) -> None:
        """Move this process, which must have one thread, into the namespace for good.

        Raises:
            NamespaceError: the kernel refuses.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        if self.user is not None and libc.setns(self.user, _CLONE_NEWUSER) != 0:
            raise _refused("enter the user namespace", ctypes.get_errno())
        if libc.setns(self.net, _CLONE_NEWNET) != 0:
            raise _refused("enter the network namespace", ctypes.get_errno())

    def close(self) -> None:
        """Let go of it. With its last process and descriptor it ends, and all in it."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def make(*, with_user: bool = False) -> PrivateNamespace:
    """Make a namespace: with CAP_SYS_ADMIN a network alone, else with a user namespace about it.

    `with_user` asks for the latter in any case. Processes of this user need no capability to enter
    such a one.

    Raises:
        NamespaceError: neither kind is allowed here.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ended = subprocess.run(  # noqa: S603  (our own interpreter and this very file)
            [sys.executable, "-I", "-S", __file__, str(theirs.fileno()), str(int(with_user))],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        theirs.close()
        data, descriptors, *_ = socket.recv_fds(ours, 1, 2, socket.MSG_CMSG_CLOEXEC)
    if data != b"x" or ended.returncode != 0:
        for descriptor in descriptors:
            os.close(descriptor)
        raise NamespaceError(ended.stderr.strip() or f"process ended with {ended.returncode}")
    return PrivateNamespace.of(descriptors)


def _refused(what: str, number: int) -> NamespaceError:
    return NamespaceError(f"cannot {what}: {os.strerror(number)}; {_REMEDY}")


def _unshare(*, with_user: bool) -> bool:
    """Whether there is a user namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if not with_user and libc.unshare(_CLONE_NEWNET) == 0:
        return False
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        raise _refused("make a private network namespace", ctypes.get_errno())
    # We are 0 inside. Everybody else looks like 65534, which must never look like us.
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123  (quick to start)
                file.write(text)
        except OSError as error:
            raise _refused(f"write {name} of a user namespace", error.errno or 0) from error
    return True


def _main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        names = ("net", "user") if _unshare(with_user=sys.argv[2] == "1") else ("net",)
    except NamespaceError as error:
        sys.exit(str(error))
    socket.send_fds(channel, [b"x"], [os.open(f"/proc/self/ns/{name}", 0) for name in names])


if __name__ == "__main__":
    _main()
