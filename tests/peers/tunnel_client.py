"""A client of the private network, within a namespace: `python -m tests.peers.tunnel_client`.

It signs in, opens `Connect`, and configures a TUN device and WireGuard by what it is told, as the
official client does. Its first line on stdout is the ConnectionState in JSON, with the keys left
out. Each line on stdin, a JSON object such as `{"do": "stats"}`, gets one line. At the end of stdin
the stream breaks off, without a word.

`wired_client` has no device: what goes through its tunnel is the test's, packet by packet.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.json_format import MessageToDict

from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.engines.interface import PeerConfig
from octelium.tunnel.engines.own import OwnEngine
from octelium.tunnel.link import addresses
from octelium.tunnel.link.tun import open_tun
from tests.e2e.cluster import DOMAIN, Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.peers.namespaces import Namespace
    from tests.tunnel.link.packets import Wire

DEVICE = "oct0"
_CONNECT = f"/{user.DESCRIPTOR.services_by_name['MainService'].full_name}/Connect"
_KEEPALIVE = 25
_EVERYWHERE = ("0.0.0.0/0", "::/0")


class TunnelClient:
    """The running process, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.state: dict[str, Any] = {}
        self._read()

    def _read(self) -> None:
        self.state = self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the client ended: {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, do: str, **members: Any) -> dict[str, Any]:
        """Ask for one thing. Raises RuntimeError with the answer's error."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **members}) + "\n")
        self.process.stdin.flush()
        return self._line()

    @property
    def address(self) -> str:
        """Its IPv4 address in the tunnel."""
        return str(self.state["addresses"][0]["v4"]).removesuffix("/32")


@contextmanager
def tunnel_client(
    namespace: Namespace,
    endpoint: str,
    authority: Path,
    token: str,
    descriptors: Sequence[int] = (),
    **settings: Any,
) -> Iterator[TunnelClient]:
    """Run one that signs in at `endpoint` (HOST:PORT) with an authentication token."""
    given = {"endpoint": endpoint, "authority": str(authority), "token": token, **settings}
    words = (sys.executable, "-m", "tests.peers.tunnel_client", json.dumps(given))
    pipe = subprocess.PIPE
    with namespace.process(*words, stdin=pipe, stdout=pipe, pass_fds=descriptors) as process:
        yield TunnelClient(process)


@contextmanager
def wired_client(
    namespace: Namespace, endpoint: str, authority: Path, token: str
) -> Iterator[tuple[TunnelClient, Wire]]:
    """As `tunnel_client`, with a wire to the test in the place of a device. It takes packets from
    any address to any address, and has the gateway as the way to all.
    """
    from tests.tunnel.link.packets import Wire

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        number = theirs.fileno()
        place = (namespace, endpoint, authority, token)
        with tunnel_client(*place, descriptors=[number], wire=number) as client:
            yield client, Wire(ours.fileno())


class _Client:
    """The process itself."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._gateways: dict[str, bytes] = {}
        self._engine: OwnEngine | None = None
        self._early: list[user.Gateway] = []
        """Told of before there was an engine."""
        self._state: asyncio.Future[user.ConnectionState] = self._loop.create_future()
        self.events: list[str] = []

    def connect(self) -> None:
        """Sign in and read the stream, in a thread."""
        authority = Path(self._settings["authority"]).read_bytes()
        channel = grpc.secure_channel(
            self._settings["endpoint"],
            grpc.ssl_channel_credentials(authority),
            options=[("grpc.ssl_target_name_override", f"octelium-api.{DOMAIN}")],
        )
        api = Api(channel)
        api.authenticate(self._settings["token"])
        initialize = user.ConnectRequestInitialize(
            l3_mode=self._settings.get("l3_mode", 0), **self._settings.get("initialize", {})
        )
        requests = iter([user.ConnectRequest(initialize=initialize)])
        stub: Any = channel.stream_stream(
            _CONNECT,
            request_serializer=user.ConnectRequest.SerializeToString,
            response_deserializer=user.ConnectResponse.FromString,
        )
        hold = threading.Event()

        def said() -> Iterator[user.ConnectRequest]:
            yield from requests
            hold.wait()

        try:
            for event in stub(said(), metadata=(("x-octelium-auth", api.access_token),)):
                self._loop.call_soon_threadsafe(self._take, event)
            self._loop.call_soon_threadsafe(self.events.append, "end")
        except grpc.RpcError as error:
            self._loop.call_soon_threadsafe(self._failed, error)

    def _failed(self, error: grpc.RpcError) -> None:
        self.events.append(f"failed: {error.code().name}")
        if not self._state.done():
            self._state.set_exception(error)

    def _take(self, event: user.ConnectResponse) -> None:
        what = event.WhichOneof("Event") or ""
        self.events.append(what)
        if what == "state" and not self._state.done():
            self._state.set_result(event.state)
        elif what == "update_gateway":
            self._put(event.update_gateway.gateway)

    def _put(self, gateway: user.Gateway) -> None:
        if self._engine is None:
            self._early.append(gateway)
            return
        if (old := self._gateways.pop(gateway.id, None)) is not None:
            self._engine.remove_peer(old)
        key = base64.b64decode(gateway.wireguard.public_key)
        self._gateways[gateway.id] = key
        place = (gateway.addresses[0], gateway.wireguard.port)
        allowed = tuple(gateway.cid_rs) if "wire" not in self._settings else _EVERYWHERE
        self._engine.put_peer(PeerConfig(key, allowed, place, keepalive=_KEEPALIVE))

    async def set_up(self) -> user.ConnectionState:
        """Device, addresses, routes and peers."""
        state = await self._state
        bound = []
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            made = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((host, 0))
            bound.append(made)
        wire = self._settings.get("wire")
        tun = open_tun(DEVICE, persistent=False).descriptor if wire is None else wire
        self._engine = OwnEngine(tun, bound, private_key=state.x25519_key, mtu=state.mtu)
        if wire is None:
            self._set_up_device(state)
        for gateway in (*state.gateways, *self._early):
            self._put(gateway)
        await self._engine.start()
        return state

    def _set_up_device(self, state: user.ConnectionState) -> None:
        addresses.set_up(DEVICE, state.mtu)
        own = state.addresses[0]
        addresses.put_addresses(DEVICE, [own.v4, own.v6])
        index = socket.if_nametoindex(DEVICE)
        from ipaddress import ip_network

        ranges = [ip_network(text) for text in (state.cidr.v4, state.cidr.v6)]
        addresses.put_routes([addresses.Route(each, index, local=False) for each in ranges])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What one request comes to."""
        assert self._engine is not None
        match request["do"]:
            case "counters":
                return self._engine.counters()
            case "events":
                return {"events": self.events}
            case "handshakes":
                stats = self._engine.stats().values()
                return {"last": max(each.last_handshake for each in stats)}
            case _:
                return {"error": "no such request"}


async def _serve(settings: dict[str, Any]) -> None:
    client = _Client(settings)
    threading.Thread(target=client.connect, daemon=True).start()
    state = await client.set_up()
    told = MessageToDict(state)
    del told["x25519Key"], told["ed25519Key"]
    print(json.dumps(told), flush=True)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(client.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
