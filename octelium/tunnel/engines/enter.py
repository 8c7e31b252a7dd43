"""Becomes another program, in the network namespace of its TUN device.

Run as a file of its own: `python -I -S enter.py JSON`. The program's folder for sockets becomes
`folder`, which nobody else sees under that name: /var/run/wireguard is one for the whole machine.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import sys

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_BIND, _MS_REC_PRIVATE, _MS_NOSUID_NODEV = 0x1000, 0x44000, 0x6
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_FOLDER = "wireguard"
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
    return result


def _enter(namespace: list[int]) -> None:
    """`namespace` is a network namespace, and the user namespace that owns it, if its own."""
    net, *user = namespace
    for descriptor in user:
        _check(_libc.setns(descriptor, _CLONE_NEWUSER), "enter the user namespace")
    _check(_libc.setns(net, _CLONE_NEWNET), "enter the network namespace")


def _hide_run(folder: str) -> None:
    """Have a /var/run of one's own with `folder` in it as `wireguard` (mount_namespaces(7))."""
    _check(_libc.unshare(_CLONE_NEWNS), "make a mount namespace")
    _check(_libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None), "make mounts private")
    source = os.open(folder, os.O_PATH | os.O_DIRECTORY)  # it may lie beneath the next mount
    run = os.path.realpath("/var/run").encode()
    _check(_libc.mount(b"none", run, b"tmpfs", _MS_NOSUID_NODEV, b"size=64k"), "mount /var/run")
    inside = os.path.join(run, _FOLDER.encode())  # noqa: PTH118  (quick to start)
    os.mkdir(inside)  # noqa: PTH102
    _check(
        _libc.mount(f"/proc/self/fd/{source}".encode(), inside, None, _MS_BIND, None),
        "mount its folder",
    )
    os.close(source)


def _listen(call: int, program: bytes) -> int:
    """Have the kernel ask before some system calls; the descriptor of its questions."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up new privileges")
    code = ctypes.create_string_buffer(program, len(program))
    about = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    given = ctypes.create_string_buffer(about, len(about))
    return _check(_libc.syscall(call, _SET_MODE_FILTER, _NEW_LISTENER, given), "use seccomp")


def _main() -> None:
    given = json.loads(sys.argv[1])
    channel = socket.socket(fileno=given["channel"])
    try:
        if given["namespace"]:
            _enter(given["namespace"])
        _hide_run(given["folder"])
        if given["seccomp"] is not None:
            listener = _listen(given["seccomp"], bytes.fromhex(given["filter"]))
            socket.send_fds(channel, [b"x"], [listener])
            os.close(listener)
        else:
            channel.send(b"x")
        channel.close()
        _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "end with the engine")
        if os.getppid() != given["parent"]:
            sys.exit("the engine is gone")
        os.set_inheritable(given["tun"], True)
        os.execve(given["words"][0], given["words"], given["environment"])  # noqa: S606
    except OSError as error:
        sys.exit(error.strerror)


if __name__ == "__main__":
    _main()
