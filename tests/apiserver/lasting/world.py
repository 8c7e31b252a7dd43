"""A server of calls that last, on a real socket, and clients of it."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio

from octelium.apiserver.lasting.call import Method
from octelium.apiserver.lasting.server import LastingServer
from octelium.http.h2.protocol import H2Client
from octelium.http.message import FieldBlock, UpstreamRequest
from octelium.http.pool import Origin, UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.calls import AUTHORITY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.apiserver.lasting.call import LastingCall
    from octelium.apiserver.rpc import Call
    from octelium.http.exchange import UpstreamError, UpstreamStream
    from octelium.http.message import Fields, ResponseHead

PATH = "/test.Service/Last"
LIMIT = 1000
PATIENCE = 60.0


def told(text: str) -> user.ConnectResponse:
    """A reply."""
    return user.ConnectResponse(message=user.ConnectResponseMessage(message=text))


def asked(number: int = 0) -> user.ConnectRequest:
    """A request."""
    request = user.ConnectRequest(initialize=user.ConnectRequestInitialize())
    request.initialize.e_ssh_port = number
    return request


class Echo:
    """A method: says what it is told, and notes what happens."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.clients: list[LastingCall] = []
        self.error: Exception | None = None
        """What the method raises before the first message."""
        self.broken: Exception | None = None
        """What it raises at the next message."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen: list[str] = []
        self.cancelled = asyncio.Event()
        self.gone = asyncio.Event()

    async def begin(self, client: LastingCall, call: Call) -> None:
        self.calls.append(call)
        self.clients.append(client)
        if self.error is not None:
            call.trailers += [("x-note", "a"), ("x-note-bin", b"\x00\xff")]
            raise self.error
        try:
            first = await client.first()
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        client.receiver = EchoReceiver(self, client)
        number = None if first is None else first.initialize.e_ssh_port
        client.send(told(f"first {number}").SerializeToString())


class EchoReceiver:
    """One call of it."""

    def __init__(self, echo: Echo, client: LastingCall) -> None:
        self._echo = echo
        self._client = client

    def received(self, message: user.ConnectRequest) -> None:
        self._echo.seen.append(str(message.initialize.e_ssh_port))
        if self._echo.broken is not None:
            raise self._echo.broken
        self._client.send(told(str(message.initialize.e_ssh_port)).SerializeToString())

    def half_closed(self) -> None:
        self._echo.seen.append("half-closed")
        self._client.end()

    def failed(self, error: Exception) -> None:
        self._echo.seen.append("failed")
        self._client.end(error)

    def gone(self) -> None:
        self._echo.seen.append("gone")
        self._echo.gone.set()


class Raw:
    """A client that says what it likes; notes the answer. Receives as `ResponseReceiver`."""

    def __init__(self) -> None:
        self.stream: UpstreamStream | None = None
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.body = b""
        self.error = ""
        self.over = asyncio.Event()
        self.answered = asyncio.Event()

    @property
    def code(self) -> int:
        """The gRPC status."""
        return int(self.fields[b"grpc-status"])

    def response_informational(self, head: ResponseHead) -> None:
        raise AssertionError(head)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        self.status = head.status
        self.fields |= dict(head.block.fields)
        self.body += data
        self.answered.set()
        if end:
            self.over.set()

    def response_data(self, data: bytes) -> None:
        self.body += data

    def response_ended(self, trailers: Fields) -> None:
        self.fields |= dict(trailers)
        self.over.set()

    def response_failed(self, error: UpstreamError) -> None:
        self.error = str(error)
        self.over.set()

    def upstream_paused(self) -> None:
        pass

    def upstream_resumed(self) -> None:
        pass

    async def end(self) -> None:
        """Wait for it."""
        async with asyncio.timeout(PATIENCE):
            await self.over.wait()


class World:
    """`open_world` makes one."""

    def __init__(self, path: Path, channel: grpc.aio.Channel, most: int) -> None:
        self.echo = Echo()
        self.method = Method(PATH, user.ConnectRequest, self.echo.begin, LIMIT, PATIENCE)
        self.server = LastingServer([self.method], most)
        self.path = path
        self._channel = channel
        self._pool = UpstreamPool(sections=SectionCache(), ticker=Ticker(), h2=H2Client)

    def call(self, *metadata: tuple[str, str | bytes], timeout: float | None = None) -> Any:
        """A call by gRPC's own client."""
        made: Any = self._channel.stream_stream(
            PATH,
            request_serializer=user.ConnectRequest.SerializeToString,
            response_deserializer=user.ConnectResponse.FromString,
        )
        return made(metadata=metadata, timeout=timeout)

    def raw(
        self,
        body: bytes = b"",
        *,
        path: str = PATH,
        method: bytes = b"POST",
        fields: Fields = ((b"content-type", b"application/grpc"),),
        end: bool = False,
    ) -> Raw:
        """A request as it is given."""
        client = Raw()
        block = FieldBlock(fields)
        request = UpstreamRequest(method, path.encode(), b"localhost", block, has_body=True)
        origin = Origin("", 0, path=str(self.path), h2=True)
        client.stream = self._pool.open(origin, request, client, body, end=end)
        return client

    def close(self) -> None:
        """Clients go."""
        self._pool.close()


def prefixed(message: bytes, flag: int = 0) -> bytes:
    """A message on the wire."""
    return struct.pack(">BL", flag, len(message)) + message


@asynccontextmanager
async def open_world(directory: Path, most: int = 8) -> AsyncIterator[World]:
    path = directory / "lasting.sock"
    async with grpc.aio.insecure_channel(f"unix:{path}", options=AUTHORITY) as channel:
        world = World(path, channel, most)
        world.server.listen(path)
        await world.server.start()
        try:
            yield world
        finally:
            world.close()
            await world.server.stop(0.2)
