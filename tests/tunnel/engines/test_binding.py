"""The filter, run as the kernel would; the rest runs in `test_wireguard_go`."""

from __future__ import annotations

import struct

import pytest

from octelium.tunnel.engines.binding import BINDS, seccomp_filter

NOTIFY, ALLOW = 0x7FC00000, 0x7FFF0000


def run(program: bytes, *, arch: int, number: int, length: int) -> int:
    """Classic BPF of three kinds of instruction over `struct seccomp_data`."""
    data = struct.pack("=iIQ6Q", number, arch, 0, 3, 0xDEAD, length, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, yes, no, k = steps[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        elif code == 0x15:
            at += yes if value == k else no
        else:
            assert code == 0x06
            return int(k)


@pytest.mark.parametrize("machine", sorted(BINDS))
def test_only_binding_an_ip_socket_is_asked_about(machine: str) -> None:
    program = seccomp_filter(machine)
    arch, _, bind = BINDS[machine]
    assert run(program, arch=arch, number=bind, length=16) == NOTIFY
    assert run(program, arch=arch, number=bind, length=28) == NOTIFY
    assert run(program, arch=arch, number=bind, length=12) == ALLOW  # netlink
    assert run(program, arch=arch, number=bind, length=110) == ALLOW  # unix
    assert run(program, arch=arch, number=bind + 1, length=16) == ALLOW
    assert run(program, arch=arch ^ 1, number=bind, length=16) == ALLOW


def test_other_machines_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="riscv64"):
        seccomp_filter("riscv64")
