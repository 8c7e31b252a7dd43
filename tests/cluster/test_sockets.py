from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.settings import Address
from octelium.cluster.sockets import ListenError, listen_tcp, listen_unix

if TYPE_CHECKING:
    from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_port_is_taken_exclusively() -> None:
    address = Address("127.0.0.1", free_port())
    (first,) = listen_tcp(address, "--listen")
    with pytest.raises(ListenError, match=rf"--listen {address}: another process listens there"):
        listen_tcp(address, "--listen")
    with socket.create_connection((address.host, address.port)):
        pass
    first.close()


def test_an_empty_host_means_both_families() -> None:
    port = free_port()
    bound = listen_tcp(Address("", port), "--listen")
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        assert {each.family for each in bound} <= {socket.AF_INET, socket.AF_INET6}
    finally:
        for each in bound:
            each.close()


def test_a_foreign_address_is_explained() -> None:
    with pytest.raises(ListenError, match="no such address"):
        listen_tcp(Address("192.0.2.1", free_port()), "--listen")


def test_unix_sockets_are_private(tmp_path: Path) -> None:
    bound = listen_unix(tmp_path / "s.sock")
    assert (tmp_path / "s.sock").stat().st_mode & 0o177 == 0
    bound.close()
    with pytest.raises(ListenError, match="shorter --data-dir"):
        listen_unix(tmp_path / ("x" * 120))
