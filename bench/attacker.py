"""A Session that misuses its tunnel, and strangers beside it: `python -m bench.attacker`.

The plan is that of `bench.swarm`, for one Session. After `join` the request `{"do": "attack",
"kind": …, "rate": …, "seconds": …}` sends that many packets a second for that long, as many as it
can if `rate` is 0; the answer is how many there were.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from bench.packets import syn, udp
from bench.swarm import Swarm
from octelium.tunnel.engines.own import boottime
from octelium.tunnel.wireguard.cookies import accept_cookie, sign
from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.messages import COOKIE, SIZES, CookieReply
from octelium.tunnel.wireguard.noise import Initiator
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.primitives import tai64n

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STRANGERS: Final = 64
"""Addresses that a flood comes from."""
_POOL: Final = 512
_STEP: Final = 0.002
_PIECE: Final = 32
_LONGEST: Final = 1500
_TRAIN: Final = 16
"""Packets that are encrypted together."""


class Attacker(Swarm):
    """One Session, and strangers."""

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__(plan)
        self._targets: dict[str, tuple[str, int]] = plan["targets"]
        self._strangers = [self._bound(number) for number in range(_STRANGERS)]

    async def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Attack, or what a swarm does."""
        if request["do"] != "attack":
            return await super().do(request)
        attack = getattr(self, f"_{request['kind']}")()
        return await _at_rate(attack, request["rate"], request["seconds"])

    def _bound(self, number: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.bind((self.address(1000 + number), 0))
        return made

    # What strangers can do.

    def _handshakes(self) -> Callable[[], None]:
        """Initiations of keys that nobody knows, whose senders do not read cookies."""
        peer = Peer(self._gateway_key)
        ready = [sign(peer, each, 0.0) for each in self._initiations()]
        return self._sender(itertools.cycle(ready))

    def _proven(self) -> Callable[[], None]:
        """The same by senders that prove their addresses with the cookies they are sent."""
        unsigned = itertools.cycle(self._initiations())
        peers = [Peer(self._gateway_key) for _ in self._strangers]
        turns = itertools.cycle(zip(self._strangers, peers, strict=True))

        def send() -> None:
            one, peer = next(turns)
            now = boottime()
            try:
                data = one.recv(2048)
                if data[0] == COOKIE and len(data) == SIZES[COOKIE]:
                    accept_cookie(peer, CookieReply.parse(data), now)
            except (BlockingIOError, HandshakeError):
                pass  # nothing was asked for, or of another message
            _send(one, sign(peer, next(unsigned), now), self._place)

        return send

    def _malformed(self) -> Callable[[], None]:
        """Anything: noise, noise with a right head, damaged initiations, forged data."""
        pick = random.Random(1)
        remote = self._remote.to_bytes(4, "little")
        genuine = [sign(Peer(self._gateway_key), each, 0.0) for each in self._initiations()[:16]]

        def one() -> bytes:
            kind = pick.randrange(5)
            if kind == 0:
                return os.urandom(pick.randrange(_LONGEST))
            if kind == 1:
                head = pick.randrange(1, 5)
                return bytes((head, 0, 0, 0)) + os.urandom(SIZES.get(head, 64) - 4)
            if kind == 2:
                broken = bytearray(pick.choice(genuine))
                broken[pick.randrange(len(broken))] ^= 1 << pick.randrange(8)
                return bytes(broken[: pick.randrange(1, len(broken) + 1)])
            head_of_data = b"\4\0\0\0" + remote
            if kind == 3:
                return head_of_data + pick.randbytes(8) + os.urandom(pick.randrange(16, _LONGEST))
            return head_of_data + os.urandom(pick.randrange(24))

        return self._sender(itertools.cycle([one() for _ in range(_POOL)]))

    def _replayed(self) -> Callable[[], None]:
        """What the Session has sent before: its data, and an initiation."""
        member = self.members[0]
        assert member.device is not None
        recorded = []
        for number in range(_POOL):
            member.device.send([udp(member.own, *self._targets["udp"], 9, b"x")], boottime())
            for _, datagrams in member.device.drain():
                recorded += datagrams
                if number % 2:
                    member.send(datagrams)
        return self._sender(itertools.cycle(recorded))

    # What a Session can do.

    def _connections(self) -> Callable[[], None]:
        """Connections that are begun and never go on (RFC 4987, section 2)."""
        return self._through(lambda port: syn(self.members[0].own, *self._targets["tcp"], port))

    def _flows(self) -> Callable[[], None]:
        """Datagrams, each from another port."""
        return self._through(
            lambda port: udp(self.members[0].own, *self._targets["udp"], port, b"x")
        )

    def _data(self) -> Callable[[], None]:
        """Data to a port where nobody listens, as a peer may send: for nobody but the gateway."""
        member = self.members[0]
        packet = udp(member.own, *self._targets["closed"], 9, bytes(64))
        some = [packet] * _TRAIN
        credit = 0

        def send() -> None:
            nonlocal credit
            credit += 1
            if credit == _TRAIN:
                credit = 0
                assert member.device is not None
                member.device.send(some, boottime())
                member.flush()

        return send

    def _through(self, packet: Callable[[int], bytes]) -> Callable[[], None]:
        member = self.members[0]
        ports = itertools.cycle(range(500, 65_500))

        def send() -> None:
            assert member.device is not None
            member.device.send([packet(next(ports))], boottime())
            member.flush()

        return send

    def _sender(self, messages: Iterator[bytes]) -> Callable[[], None]:
        turns = itertools.cycle(self._strangers)
        return lambda: _send(next(turns), next(messages), self._place)

    def _initiations(self) -> list[bytes]:
        identity = Identity(os.urandom(32))
        label = tai64n(time.time_ns())
        made = (Initiator(identity, self._gateway_key, number) for number in range(_POOL))
        return [each.initiate(label) for each in made]

    @property
    def _gateway_key(self) -> bytes:
        return self.members[0].gateway_key

    @property
    def _place(self) -> tuple[str, int]:
        return self.members[0].gateway_place

    @property
    def _remote(self) -> int:
        """The gateway's index of the Session's present WireGuard session."""
        device: Any = self.members[0].device
        index: int = device._state.peers[self._gateway_key].current.remote  # noqa: SLF001 (attack)
        return index


def _send(one: socket.socket, data: bytes, place: tuple[str, int]) -> None:
    try:
        one.sendto(data, place)
    except BlockingIOError:
        return  # as much as goes


async def _at_rate(send: Callable[[], None], rate: float, seconds: float) -> dict[str, Any]:
    began = time.monotonic()
    count = 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) if rate else count + _PIECE
        while count < due:
            send()
            count += 1
        await asyncio.sleep(_STEP if rate else 0)
    return {"sent": count}


if __name__ == "__main__":
    asyncio.run(Attacker(json.loads(sys.stdin.readline())).serve())
