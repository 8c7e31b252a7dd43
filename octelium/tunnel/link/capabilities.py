"""Giving up capabilities for good (capabilities(7))."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

SETPCAP = 8
NET_BIND_SERVICE = 10
NET_ADMIN = 12
SYS_ADMIN = 21
_PR_CAPBSET_DROP = 24
_PR_SET_KEEPCAPS = 8
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def effective() -> frozenset[int]:
    """The numbers of the capabilities that this process may use now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            mask = int(line.split()[1], 16)
            return frozenset(number for number in range(64) if mask >> number & 1)
    raise OSError("/proc/self/status has no CapEff line")


def keep_only(*kept: int) -> None:
    """Drop every capability but `kept` (those of them that the process has), and stay there.

    Executing a program brings none back: no_new_privs is set, and the bounding set is emptied if
    the process has CAP_SETPCAP. For a process of one thread.

    Raises:
        OSError: the kernel refuses; nothing is promised then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl(PR_CAP_AMBIENT)")
    have = effective()
    if SETPCAP in have:
        last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
        for number in set(range(last + 1)) - set(kept):
            _check(libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "prctl(PR_CAPBSET_DROP)")
    _set(libc, have & set(kept))


def keep_over_setuid() -> None:
    """Keep what one has when another user id is taken; it is not in effect then, see `hold`.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")


def hold(*held: int) -> None:
    """Have these capabilities of those permitted, and no others; programs that are executed get
    none of them. For a process of one thread.

    Raises:
        OSError: one of them is not permitted.
    """
    _set(ctypes.CDLL(None, use_errno=True), frozenset(held))


def _set(libc: ctypes.CDLL, held: frozenset[int]) -> None:
    mask = sum(1 << number for number in held)
    halves = (_Data * 2)()
    for index, half in enumerate(halves):
        half.effective = half.permitted = mask >> (32 * index) & 0xFFFFFFFF
        half.inheritable = 0
    header = _Header(_VERSION_3, 0)
    _check(libc.capset(ctypes.byref(header), ctypes.byref(halves)), "capset")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
