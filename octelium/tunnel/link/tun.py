"""The TUN device: whole IP packets by a descriptor.

See tuntap.rst of the Linux documentation and if_tun.h; the head before each packet is that of
virtio (Virtual I/O Device 1.2, section 5.1.6), so that the kernel may hand over segments of up to
64 kB and leave checksums to be made by who reads.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import time
from dataclasses import dataclass

NODE = "/dev/net/tun"
HEADER = 10
"""Bytes of `struct virtio_net_hdr` before each packet."""
CSUM = 0x01
TSO4 = 0x02
TSO6 = 0x04
USO4 = 0x20
USO6 = 0x40
_OFFLOADS = (CSUM | TSO4 | TSO6 | USO4 | USO6, CSUM | TSO4 | TSO6, CSUM, 0)
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOWNER = 0x400454CC
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_SIOCGIFFLAGS = 0x8913
_IFF_UP = 0x1
_IFF_RUNNING = 0x40
_SETTLES = 2.0
_REQUEST = struct.Struct("16sH22x")
_REMEDY = {
    errno.ENOENT: "the kernel has no TUN driver here: modprobe tun, or give the container the "
    "device (--device /dev/net/tun)",
    errno.ENODEV: "the kernel has no TUN driver: modprobe tun",
    errno.ENXIO: "the kernel has no TUN driver: modprobe tun",
    errno.EACCES: "this user may not open it: chmod 0666 /dev/net/tun, as most systems have it",
    errno.EPERM: "opening or making a TUN device needs CAP_NET_ADMIN in this network namespace, "
    "and the container's device rules must allow it",
    errno.EBUSY: "another process has the device open",
}


class TunError(OSError):
    """No TUN device; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tun:
    """An open device. Whoever has it closes `descriptor`, which does not block."""

    descriptor: int
    offloads: int
    """What the kernel may leave to us: CSUM, TSO4, …"""


def open_tun(name: str, *, persistent: bool, offload: bool = True) -> Tun:
    """Open the device of this network namespace called `name`; make it if there is none.

    A persistent device stays when its descriptor is closed, and this user may open it again
    without capabilities. One process may have it open at a time. Without `offload` it has packets
    of the MTU and four bytes of packet information before each, which old programs want.

    Raises:
        TunError: no driver, not allowed, or open elsewhere (EBUSY).
    """
    try:
        descriptor = os.open(NODE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _failed(f"cannot open {NODE}", error) from error
    try:
        flags = _IFF_TUN | (_IFF_NO_PI | _IFF_VNET_HDR if offload else 0)
        fcntl.ioctl(descriptor, _TUNSETIFF, _REQUEST.pack(name.encode(), flags))
        if offload:
            fcntl.ioctl(descriptor, _TUNSETVNETHDRSZ, struct.pack("=i", HEADER))
        fcntl.ioctl(descriptor, _TUNSETOWNER, os.geteuid())
        fcntl.ioctl(descriptor, _TUNSETPERSIST, int(persistent))
        return Tun(descriptor, _offloads(descriptor, _OFFLOADS if offload else (0,)))
    except OSError as error:
        os.close(descriptor)
        raise _failed(f"cannot have the TUN device {name}", error) from error


def settle(name: str) -> None:
    """Wait until a device that is up and was opened again really sends.

    The kernel notices in the background that somebody has it open, and drops packets until then;
    the first answers of TCP would come a second late.

    Raises:
        TunError: it still does not.
    """
    deadline = time.monotonic() + _SETTLES
    while not _flags(name) & _IFF_RUNNING:
        if time.monotonic() > deadline:
            raise TunError(errno.ENETDOWN, f"the TUN device {name} does not become active")
        time.sleep(0.001)


def is_up(name: str) -> bool:
    """Whether there is a device of that name, and it is on."""
    try:
        return bool(_flags(name) & _IFF_UP)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return False


def _flags(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16s16x", name.encode())
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
    return int(struct.unpack_from("=16xH", answer)[0])


def _offloads(descriptor: int, choices: tuple[int, ...]) -> int:
    """Turn on the first of `choices` that this kernel has."""
    for wanted in choices:
        try:
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, wanted)
        except OSError as error:
            if error.errno != errno.EINVAL or not wanted:
                raise
        else:
            return wanted
    raise AssertionError("the last of them raises")


def _failed(what: str, error: OSError) -> TunError:
    number = error.errno or 0
    return TunError(number, f"{what}: {_REMEDY.get(number, os.strerror(number))}")
