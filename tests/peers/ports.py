"""Ports for peers."""

from __future__ import annotations

import socket


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
