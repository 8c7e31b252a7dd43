"""Ports that peers are given."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.peers.ports import free_port, reserved_port


def test_a_port_is_kept_for_who_sets_reuse_address() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 60)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    for host in ("127.0.0.1", "0.0.0.0", "127.0.0.1"):
        with socket.create_server((host, port)):
            socket.create_connection(("127.0.0.1", port), 60).close()
    assert port not in {free_port() for _ in range(10)}


def test_one_for_any_server_is_no_other_process_s() -> None:
    port = reserved_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as stream:
        for each in (datagrams, stream):
            each.bind(("127.0.0.1", port))
    code = "from tests.peers.ports import reserved_port; print(reserved_port())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) != port
