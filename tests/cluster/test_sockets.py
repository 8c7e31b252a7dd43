from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.settings import Address
from octelium.cluster.sockets import (
    ListenError,
    listen_apart,
    listen_tcp,
    listen_udp,
    listen_unix,
)
from octelium.tunnel.engines.udp import BUFFER
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from pathlib import Path


def test_a_port_is_taken_exclusively() -> None:
    address = Address("127.0.0.1", reserved_port())
    (first,) = listen_tcp(address, "--listen")
    with pytest.raises(ListenError, match=rf"--listen {address}: another process listens there"):
        listen_tcp(address, "--listen")
    with socket.create_connection((address.host, address.port)):
        pass
    first.close()


def test_an_empty_host_means_both_families() -> None:
    port = reserved_port()
    bound = listen_tcp(Address("", port), "--listen")
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        assert {each.family for each in bound} <= {socket.AF_INET, socket.AF_INET6}
    finally:
        for each in bound:
            each.close()


def test_a_foreign_address_is_explained() -> None:
    with pytest.raises(ListenError, match="no such address"):
        listen_tcp(Address("192.0.2.1", reserved_port()), "--listen")


def test_datagrams_arrive_at_one_address_or_at_both_families() -> None:
    (one,) = listen_udp(Address("127.0.0.1", port := reserved_port()), "--wireguard-listen")
    with one, pytest.raises(ListenError, match="another process listens there"):
        listen_udp(Address("127.0.0.1", port), "--wireguard-listen")
    both = listen_udp(Address("", port), "--wireguard-listen")
    assert both[0].family == socket.AF_INET
    for each in both:
        assert each.getsockname()[1] == port
        assert each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * BUFFER
        assert not each.getblocking()
        each.close()


def test_a_foreign_address_of_datagrams_is_explained() -> None:
    with pytest.raises(ListenError, match=r"--wireguard-listen .*no such address"):
        listen_udp(Address("192.0.2.1", reserved_port()), "--wireguard-listen")


def test_unix_sockets_are_private(tmp_path: Path) -> None:
    bound = listen_unix(tmp_path / "s.sock")
    assert (tmp_path / "s.sock").stat().st_mode & 0o177 == 0
    bound.close()
    with pytest.raises(ListenError, match="shorter --data-dir"):
        listen_unix(tmp_path / ("x" * 120))


def test_a_socket_outside_the_data_directory_is_taken_over_once_nobody_listens(
    tmp_path: Path,
) -> None:
    place = tmp_path / "s.sock"
    first = listen_apart(place)
    with pytest.raises(ListenError, match="another process listens there"):
        listen_apart(place)
    first.close()
    second = listen_apart(place)
    assert place.stat().st_mode & 0o177 == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))
    second.close()


def test_only_a_socket_gives_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    for place in (file, tmp_path / "nowhere" / "s.sock", tmp_path / ("x" * 120)):
        with pytest.raises(ListenError, match="folder exists"):
            listen_apart(place)
    assert file.read_text() == "kept"
