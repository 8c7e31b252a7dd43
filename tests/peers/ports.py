"""Ports for peers."""

from __future__ import annotations

import itertools
import os
import random
import socket
from pathlib import Path

_FIRST = 24_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _candidates() -> itertools.cycle[int]:
    """Ports below those that the kernel gives to whoever names none; each process has its own."""
    end = int(_RANGE.read_text().split()[0])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = [*range(_FIRST + worker, end, count)]
    start = random.randrange(len(own)) if own else 0
    return itertools.cycle([*own[start:], *own[:start]] or [0])


_CANDIDATES = _candidates()


def free_port() -> int:
    """A port of the loopback interface that nobody has by TCP or UDP, nor gets by chance."""
    while True:
        port = next(_CANDIDATES)
        try:
            for kind in _KINDS:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("0.0.0.0", port))
                    port = int(probe.getsockname()[1])
        except OSError:
            continue
        return port
