"""Stand-ins: a side whose device and sockets are in memory, an engine, a stream by script."""

from __future__ import annotations

import asyncio
import base64
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.engines.interface import PeerConfig, PeerStats
from octelium.tunnel.wireguard import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.client.tunnel.side import Kind
    from octelium.client.tunnel.state import Connected

KEY = bytes(range(32))
GATEWAY_KEY = bytes(range(1, 33))


def gateway(name: str = "g1", key: bytes = GATEWAY_KEY, **more: Any) -> user.Gateway:
    """One at the loopback address."""
    return user.Gateway(
        id=name,
        addresses=more.pop("addresses", ["127.0.0.1"]),
        cid_rs=more.pop("ranges", ["100.64.0.0/24", "fdee:1:2:3::/112"]),
        wireguard=user.GatewayWireGuard(
            port=more.pop("port", 53820), public_key=base64.b64encode(key).decode()
        ),
        **more,
    )


def state(**more: Any) -> user.ConnectionState:
    """What a Cluster with both families says."""
    known: dict[str, Any] = {
        "mtu": 1280,
        "x25519_key": KEY,
        "addresses": [meta.DualStackNetwork(v4="100.65.0.7/32", v6="fdee:1:2:3:1::7/128")],
        "gateways": [gateway()],
        "dns": user.Dns(servers=["100.64.0.2", "fdee:1:2:3::2"]),
        "cidr": meta.DualStackNetwork(v4="100.64.0.0/16", v6="fdee:1:2:3::/80"),
    }
    return user.ConnectionState(**{**known, **more})


def hosted_service(name: str = "home.default", **more: Any) -> user.HostedService:
    """One that is served by TCP at the address of `state`."""
    known: dict[str, Any] = {
        "name": name,
        "port": 20_000,
        "l4_type": user.HostedServiceL4Type__.TCP,
        "upstream": user.HostedServiceUpstream(host="127.0.0.1", port=9),
        "address": meta.DualStackIp(ipv4="100.65.0.7"),
        "mode": user.HostedServiceMode__.MODE_DEFAULT,
    }
    return user.HostedService(**{**known, **more})


@dataclass
class FakeSide:
    """Sockets of the loopback interface stand for those of the tunnel."""

    name: str = "memory"
    device: str = "octelium-x"
    is_of_host: bool = True
    namespace: list[int] = field(default_factory=list)
    opened: list[Connected] = field(default_factory=list)
    changed: list[Connected] = field(default_factory=list)
    closed: int = 0
    heard: list[tuple[Kind, str, int]] = field(default_factory=list)
    released: list[tuple[Kind, str, int]] = field(default_factory=list)
    failure: Exception | None = None
    pair: tuple[socket.socket, socket.socket] | None = None

    async def open(self, connected: Connected) -> int:
        if self.failure is not None:
            raise self.failure
        self.opened.append(connected)
        self.pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return self.pair[1].fileno()

    async def put(self, connected: Connected) -> None:
        self.changed.append(connected)

    async def dial(self, kind: Kind, family: int) -> socket.socket:
        type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        return socket.socket(family, type_ | socket.SOCK_NONBLOCK)

    async def listen(self, kind: Kind, address: str, port: int) -> socket.socket:
        type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        made = socket.socket(socket.AF_INET, type_ | socket.SOCK_NONBLOCK)
        self.heard.append((kind, address, port))
        try:
            made.bind(("127.0.0.1", port))
            if kind == "tcp":
                made.listen()
        except OSError:
            made.close()
            raise
        return made

    async def release(self, kind: Kind, address: str, port: int) -> None:
        self.released.append((kind, address, port))

    async def close(self) -> None:
        self.closed += 1
        for each in self.pair or ():
            each.close()
        self.pair = None


@dataclass
class FakeEngine:
    """Remembers what it is told."""

    private_key: bytes
    peers: dict[bytes, PeerConfig] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    handshakes: dict[bytes, float] = field(default_factory=dict)
    traffic: tuple[int, int] = (0, 0)
    """Bytes received and sent, of each peer."""
    name: str = "fake"
    wants_offload: bool = False
    wants_sockets: bool = True
    broken: asyncio.Future[str] | None = None

    async def start(self) -> None:
        self.log.append("start")
        self.broken = asyncio.get_running_loop().create_future()

    async def failed(self) -> str:
        assert self.broken is not None
        return await asyncio.shield(self.broken)

    def set_private_key(self, private_key: bytes, previous: Sequence[bytes] = ()) -> None:
        assert not self.peers, "sessions of the former key are useless"
        assert not previous
        self.private_key = private_key
        self.log.append("key")

    def put_peer(self, peer: PeerConfig) -> None:
        if len(peer.public_key) != 32:
            raise ConfigurationError("no key")
        self.peers[peer.public_key] = peer

    def change_peer_key(self, public_key: bytes, new: bytes) -> None:
        self.peers[new] = self.peers.pop(public_key)
        self.log.append("rotated")

    def remove_peer(self, public_key: bytes) -> None:
        self.peers.pop(public_key, None)

    def replace_peers(self, peers: Sequence[PeerConfig]) -> None:
        self.peers = {each.public_key: each for each in peers}
        self.log.append(f"peers {len(peers)}")

    def poke(self, public_key: bytes) -> None:
        assert public_key in self.peers
        self.log.append("poke")

    def stats(self) -> dict[bytes, PeerStats]:
        return {
            key: PeerStats(peer.endpoint, self.handshakes.get(key, 0.0), *self.traffic)
            for key, peer in self.peers.items()
        }

    def counters(self) -> dict[str, int]:
        return {}

    async def close(self) -> None:
        self.log.append("close")
        if self.broken is not None:
            self.broken.cancel()


class Engines:
    """Makes them."""

    def __init__(self) -> None:
        self.made: list[FakeEngine] = []

    def __call__(
        self,
        descriptor: int,
        side: object,
        sockets: Sequence[socket.socket],
        private_key: bytes,
        mtu: int,
    ) -> FakeEngine:
        self.made.append(FakeEngine(private_key))
        return self.made[-1]

    @property
    def last(self) -> FakeEngine:
        return self.made[-1]


class ScriptedStream:
    """A stream that a test talks on: put messages, None for its end, or an error."""

    def __init__(self, first: user.ConnectRequest) -> None:
        self.said = [first]
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = False

    async def next(self) -> user.ConnectResponse | None:
        event = await self.events.get()
        if isinstance(event, Exception):
            raise event
        assert event is None or isinstance(event, user.ConnectResponse)
        return event

    def say(self, request: user.ConnectRequest) -> None:
        self.said.append(request)

    def close(self) -> None:
        self.closed = True


class EchoServer:
    """Answers what it hears, in upper case, until the peer has ended its half."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        data = await reader.read()
        writer.write(data.upper())
        writer.close()


async def ask(port: int, question: bytes, host: str = "127.0.0.1") -> bytes:
    """Say something, end that half, and take all of the answer."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(question)
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()


async def is_hung_up_on(port: int) -> bool:
    """Whether a connection is ended before anything is said."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True
        finally:
            writer.close()
