"""A thousand peers of one engine, with a socket each: `python -m bench.crowd JSON`.

They shake hands, say `ready`, and keep alive until stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from ipaddress import ip_network
from typing import Any

import uvloop

from octelium.tunnel.engines.own import boottime
from octelium.tunnel.wireguard import Device, PeerConfig

_TURN = 0.05
_AT_A_TIME = 50


class Client:
    """A device and its socket."""

    def __init__(self, private_key: bytes, gateway: PeerConfig) -> None:
        self.device = Device(private_key)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.gateway = gateway

    def begin(self) -> None:
        self.device.add_peer(self.gateway, boottime())
        self.flush()

    def tick(self, now: float) -> None:
        if self.device.deadline() <= now:
            self.device.tick(now)
            self.flush()

    def readable(self) -> None:
        data, source = self.socket.recvfrom(2000)
        self.device.receive([(memoryview(data), source)], boottime())
        self.flush()

    def flush(self) -> None:
        for place, datagrams in self.device.drain():
            for each in datagrams:
                self.socket.sendto(each, place)


async def _main(plan: dict[str, Any]) -> None:
    gateway = PeerConfig(
        bytes.fromhex(plan["public_key"]),
        endpoint=(plan["host"], plan["port"]),
        allowed_ips=(ip_network("100.64.0.0/16"),),
        persistent_keepalive=plan["keepalive"],
    )
    clients = [Client(bytes.fromhex(each), gateway) for each in plan["private_keys"]]
    loop = asyncio.get_running_loop()
    for each in clients:
        loop.add_reader(each.socket, each.readable)
    for at in range(0, len(clients), _AT_A_TIME):
        for each in clients[at : at + _AT_A_TIME]:
            each.begin()
        # Spread over the first interval, as those of people are.
        await asyncio.sleep(plan["spread"] * _AT_A_TIME / len(clients))
    while not all(each.device.counters.handshakes for each in clients):
        await _turn(clients)
    print("ready", flush=True)
    ending = loop.run_in_executor(None, sys.stdin.read)
    while not ending.done():
        await _turn(clients)


async def _turn(clients: list[Client]) -> None:
    now = boottime()
    for each in clients:
        each.tick(now)
    await asyncio.sleep(_TURN)


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.stdin.readline())))
