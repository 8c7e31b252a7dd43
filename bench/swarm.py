"""Many Sessions of one process, each with a `Connect` stream and a WireGuard device of its own.

`python -m bench.swarm`, with a plan on the first line of stdin, then a request a line, each of
which gets one. Sessions behave as the client does: their own TLS connections, HTTP/2 pings after
45 s of silence, a sign of life on the stream every 300 s, and a persistent keepalive of 30 s. What
stands in for the TUN device asks the Cluster's DNS, so that a name that is found has gone all the
way: stream, handshake, gateway, worker, and back.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import sys
import time
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from bench.packets import udp
from octelium.http.tasks import spawn
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.engines.own import boottime
from octelium.tunnel.wireguard import Device, PeerConfig
from tests.e2e.cluster import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEEPALIVE: Final = 30
_PING: Final = 45_000
_PING_TIMEOUT: Final = 15_000
_SIGN_OF_LIFE: Final = 300.0
_TURN: Final = 0.02
_AGAIN: Final = 1.0
"""Seconds until a question is asked once more, as resolvers do."""
_PORT: Final = 40_000
_AT_A_TIME: Final = 16
_CONNECT: Final = f"/{user.DESCRIPTOR.services_by_name['MainService'].full_name}/Connect"
_SIGN_IN: Final = (
    f"/{auth.DESCRIPTOR.services_by_name['MainService'].full_name}"
    "/AuthenticateWithAuthenticationToken"
)


class Member:
    """One Session."""

    def __init__(self, swarm: Swarm, number: int, token: str) -> None:
        self._swarm = swarm
        self._number = number
        self._token = token
        self._access = ""
        self._call: Any = None
        self._answered: asyncio.Event = asyncio.Event()
        self.device: Device | None = None
        self.own = ""
        self.gateway_key = b""
        self.gateway_place = ("", 0)
        self.ended = ""
        self.events = 0

    async def sign_in(self) -> None:
        """Get a Session of its own."""
        channel = self._swarm.channel()
        stub: Any = channel.unary_unary(
            _SIGN_IN,
            request_serializer=auth.AuthenticateWithAuthenticationTokenRequest.SerializeToString,
            response_deserializer=auth.SessionToken.FromString,
        )
        request = auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=self._token)
        self._access = (await stub(request, timeout=60)).access_token
        await channel.close()

    async def join(self) -> dict[str, float]:
        """Connect; seconds until the state came, and until the first answer."""
        began = time.monotonic()
        state = await self._open()
        told = time.monotonic()
        self._have(state)
        number = self._number & 0xFFFF
        resolver = next(each for each in state.dns.servers if ":" not in each)
        self.own = state.addresses[0].v4.partition("/")[0]
        packet = udp(self.own, resolver, 53, _PORT, _question(number, self._swarm.name))
        assert self.device is not None
        while not self._answered.is_set():
            self.device.send([packet], boottime())
            self.flush()
            try:
                async with asyncio.timeout(_AGAIN):
                    await self._answered.wait()
            except TimeoutError:
                continue
        return {"state": told - began, "answer": time.monotonic() - began}

    async def _open(self) -> user.ConnectionState:
        stub: Any = self._swarm.channel().stream_stream(
            _CONNECT,
            request_serializer=user.ConnectRequest.SerializeToString,
            response_deserializer=user.ConnectResponse.FromString,
        )
        self._call = stub(metadata=(("x-octelium-auth", self._access),))
        initialize = user.ConnectRequestInitialize()
        await self._call.write(user.ConnectRequest(initialize=initialize))
        event = await self._call.read()
        if event is grpc.aio.EOF:
            raise RuntimeError(f"the stream ended: {await self._call.code()}")
        spawn(self._listen(), name="Connect")
        spawn(self._live(), name="signs of life")
        state: user.ConnectionState = event.state
        return state

    async def _listen(self) -> None:
        try:
            while (event := await self._call.read()) is not grpc.aio.EOF:
                self.events += 1
                if event.WhichOneof("Event") == "disconnect":
                    self.ended = event.disconnect.message
        except grpc.aio.AioRpcError as error:
            self.ended = f"{error.code().name}: {error.details()}"
        else:
            self.ended = self.ended or "the stream ended"

    async def _live(self) -> None:
        while not self.ended:
            await asyncio.sleep(_SIGN_OF_LIFE)
            request = user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive())
            request.keep_alive.set_at.GetCurrentTime()
            await self._call.write(request)

    def _have(self, state: user.ConnectionState) -> None:
        """The device, and a socket at an address of its own."""
        gateway = state.gateways[0]
        self.device = Device(state.x25519_key, mtu=state.mtu)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind((self._swarm.address(self._number), 0))
        self.gateway_key = base64.b64decode(gateway.wireguard.public_key)
        self.gateway_place = (gateway.addresses[0], gateway.wireguard.port)
        config = PeerConfig(
            self.gateway_key,
            endpoint=self.gateway_place,
            allowed_ips=tuple(ip_network(each) for each in gateway.cid_rs),
            persistent_keepalive=KEEPALIVE,
        )
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        self.device.add_peer(config, boottime())
        self.flush()

    def _readable(self) -> None:
        assert self.device is not None
        data, source = self._socket.recvfrom(4096)
        for packet in self.device.receive([(memoryview(data), source)], boottime()):
            self._take(packet)
        self.flush()

    def _take(self, packet: bytes) -> None:
        """An answer without an error, and with something in it (RFC 1035, section 4.1.1)."""
        message = packet[28:]
        if packet[9] == socket.IPPROTO_UDP and len(message) >= 12:
            code, found = message[3] & 0xF, int.from_bytes(message[6:8], "big")
            if code or not found:
                self.ended = f"a name was answered with code {code} and {found} records"
            self._answered.set()

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.device is not None and self.device.deadline() <= now:
            self.device.tick(now)
            self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        assert self.device is not None
        for _, datagrams in self.device.drain():
            self.send(datagrams)

    def send(self, datagrams: list[bytes]) -> None:
        """Send to the gateway."""
        for each in datagrams:
            self._socket.sendto(each, self.gateway_place)


class Swarm:
    """All of them."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._endpoint = plan["endpoint"]
        self._authority = Path(plan["authority"]).read_bytes()
        self._people = ip_network(plan["people"])
        self.name: str = plan["name"]
        tokens = plan["tokens"]
        self.members = [
            Member(self, number, tokens[number % len(tokens)]) for number in range(plan["count"])
        ]

    def address(self, number: int) -> str:
        """Where a Session is."""
        return str(self._people[number + 1])

    def channel(self) -> grpc.aio.Channel:
        """A connection of its own, with the pings of the client."""
        return grpc.aio.secure_channel(
            self._endpoint,
            grpc.ssl_channel_credentials(self._authority),
            options=[
                ("grpc.ssl_target_name_override", f"octelium-api.{DOMAIN}"),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.keepalive_time_ms", _PING),
                ("grpc.keepalive_timeout_ms", _PING_TIMEOUT),
            ],
        )

    async def serve(self) -> None:
        """Do what is asked."""
        ticking = spawn(self._tick(), name="timers")
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            print(json.dumps(await self.do(request)), flush=True)
        ticking.cancel()

    async def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request."""
        match request["do"]:
            case "sign in":
                places = asyncio.Semaphore(_AT_A_TIME)
                return await self._all(_in_turn(places, each.sign_in) for each in self.members)
            case "join":
                return await self._all(each.join() for each in self.members)
            case _:
                devices = [each.device for each in self.members if each.device is not None]
                return {
                    "ended": [each.ended for each in self.members if each.ended],
                    "handshakes": [each.counters.handshakes for each in devices],
                    "cookies": sum(each.counters.cookies_received for each in devices),
                    "keepalives": sum(each.counters.keepalives_received for each in devices),
                }

    @staticmethod
    async def _all(what: Any) -> dict[str, Any]:
        began = time.monotonic()
        found = await asyncio.gather(*what, return_exceptions=True)
        failed = [f"{type(each).__name__}: {each}"[:300] for each in found if _is_bad(each)]
        return {
            "failed": failed,
            "done": [each for each in found if not _is_bad(each)],
            "seconds": time.monotonic() - began,
        }

    async def _tick(self) -> None:
        while True:
            now = boottime()
            for each in self.members:
                each.tick(now)
            await asyncio.sleep(_TURN)


def _is_bad(found: Any) -> bool:
    return isinstance(found, BaseException)


async def _in_turn(places: asyncio.Semaphore, what: Callable[[], Awaitable[None]]) -> None:
    async with places:
        await what()


def _question(number: int, name: str) -> bytes:
    """A question for the IPv4 address of a name (RFC 1035, section 4)."""
    labels = b"".join(bytes((len(each),)) + each.encode() for each in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)


if __name__ == "__main__":
    asyncio.run(Swarm(json.loads(sys.stdin.readline())).serve())
