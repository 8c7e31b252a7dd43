"""Ports for peers."""

from __future__ import annotations

import itertools
import socket

_numbers = itertools.count(24_000)
"""Below those that the kernel gives to whoever asks for any port."""


def free_port() -> int:
    """A TCP port of the loopback interface for a server that sets SO_REUSEADDR, as nearly all do.

    Until this process ends nobody is given it who asks for any port: a socket stays bound to it,
    beside which such a server can listen (socket(7)).
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = int(probe.getsockname()[1])
    probe.detach()
    return port


def reserved_port() -> int:
    """A port by TCP and UDP, for any server or for none, that nobody is given by chance.

    Until this process ends no other process of tests is given it.
    """
    for port in _numbers:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0octelium-tests-port-{port}")
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("0.0.0.0", port))
        except OSError:
            claim.close()
            continue
        claim.detach()
        return port
    raise AssertionError("no port is free")
