"""A bad way for datagrams: `python -m tests.peers.udp_relay HOST:PORT [delay=0.02 …]`.

It prints the port at which it listens. Datagrams go on to HOST:PORT after `delay` seconds and a
random part of `jitter`, by which they overtake each other; `twice` of them (0 to 1) are doubled,
`lost` are dropped. What they say is the same each time: `seed`.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Manners:
    """What becomes of a datagram."""

    def __init__(self, given: dict[str, float]) -> None:
        self.delay = given.pop("delay", 0.0)
        self.jitter = given.pop("jitter", 0.0)
        self.twice = given.pop("twice", 0.0)
        self.lost = given.pop("lost", 0.0)
        self._random = random.Random(given.pop("seed", 1.0))
        if given:
            raise SystemExit(f"unknown: {', '.join(given)}")

    def times(self) -> list[float]:
        """After how many seconds each copy goes on."""
        if self._random.random() < self.lost:
            return []
        copies = 2 if self._random.random() < self.twice else 1
        return [self.delay + self._random.random() * self.jitter for _ in range(copies)]


class Relay:
    """Datagrams of many, each with a socket of its own towards the target."""

    def __init__(self, target: tuple[str, int], manners: Manners) -> None:
        self._target = target
        self._manners = manners
        self._loop = asyncio.get_running_loop()
        self._ways: dict[tuple[str, int], socket.socket] = {}
        self._bound = _socket()
        self._bound.bind(("0.0.0.0", 0))
        self._loop.add_reader(self._bound, self._come)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._bound.getsockname()[1])

    def _come(self) -> None:
        data, source = self._bound.recvfrom(1 << 16)
        way = self._ways.get(source)
        if way is None:
            way = self._ways[source] = _socket()
            way.connect(self._target)
            self._loop.add_reader(way, self._return, way, source)
        self._later(way.send, data)

    def _return(self, way: socket.socket, source: tuple[str, int]) -> None:
        self._later(self._bound.sendto, way.recv(1 << 16), source)

    def _later(self, send: Callable[..., int], *what: object) -> None:
        """Send when it is time, as often as it is to be."""
        for seconds in self._manners.times():
            self._loop.call_later(seconds, send, *what)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return made


async def main(target: str, *given: str) -> None:
    """Relay for good."""
    host, _, port = target.rpartition(":")
    pairs = (each.partition("=") for each in given)
    manners = Manners({name: float(value) for name, _, value in pairs})
    print(Relay((host, int(port)), manners).port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
