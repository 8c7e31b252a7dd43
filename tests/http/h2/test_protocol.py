"""The shells with real peers: grpcio at both ends of a proxy, curl, bare sockets."""

from __future__ import annotations

import asyncio
import gc
import shutil
from contextlib import asynccontextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from octelium.http.exchange import Failure, RequestStream
from octelium.http.h2 import frames
from octelium.http.h2.frames import ErrorCode
from octelium.http.h2.protocol import H2Client, H2Server
from octelium.http.h2.settings import SERVER_LIMITS
from octelium.http.message import FieldBlock, UpstreamRequest
from octelium.http.pool import Origin
from octelium.http.ticker import Ticker
from tests.http.h2.proxy import EMPTY, Running, proxying, serving
from tests.http.h2.wire import PEER, TEXT, Request, Response, goaway_code, kinds, split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

METHOD = "/test.Echo/"


def bound(holder: object) -> list[MethodType]:
    """The bound methods that an object holds."""
    return [each for each in gc.get_referents(holder) if isinstance(each, MethodType)]


class Echo(grpc.GenericRpcHandler):
    """A gRPC service over plain bytes."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        name = call.method.removeprefix(METHOD)
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Hang": grpc.unary_stream_rpc_method_handler(self.hang),
        }.get(name)

    async def unary(self, request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"),))
        return request

    async def down(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    async def up(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
        raise AssertionError

    async def hang(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.started.set()
        try:
            yield b"started"
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


@asynccontextmanager
async def chain(path: Path) -> AsyncIterator[tuple[grpc.aio.Channel, Echo, Running]]:
    """A gRPC client, the proxy, and a gRPC server on a Unix socket."""
    echo = Echo()
    options = [("grpc.max_receive_message_length", 8 << 20)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((echo,))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        async with (
            proxying(Origin("api", 0, path=str(path), h2=True)) as running,
            grpc.aio.insecure_channel(f"127.0.0.1:{running.port}", options=options) as channel,
        ):
            yield channel, echo, running
    finally:
        await server.stop(None)


def unary(channel: grpc.aio.Channel, name: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(METHOD + name)


def down(channel: grpc.aio.Channel, name: str) -> grpc.aio.UnaryStreamMultiCallable[bytes, bytes]:
    return channel.unary_stream(METHOD + name)


def up(channel: grpc.aio.Channel) -> grpc.aio.StreamUnaryMultiCallable[bytes, bytes]:
    return channel.stream_unary(METHOD + "Up")


def both(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamMultiCallable[bytes, bytes]:
    return channel.stream_stream(METHOD + "Both")


class TestGrpc:
    async def test_unary(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, _, _):
            for size in (0, 5, 100_000, 4 << 20):
                call = unary(channel, "Unary")(b"x" * size)
                assert len(await call) == size
                assert ("x-first", "1") in list(await call.initial_metadata())
                assert ("x-last", "2") in list(await call.trailing_metadata())

    async def test_many_at_once_on_few_connections(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, _, running):
            call = unary(channel, "Unary")
            answers = await asyncio.gather(*[call(b"%d" % n) for n in range(300)])
            assert answers == [b"%d" % n for n in range(300)]
            assert len(running.connections) == 1
            assert running.pool.counts()[0] <= 3

    async def test_streams(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, _, _):
            numbers = down(channel, "Down")(b"500")
            assert [m async for m in numbers] == [b"%d" % n for n in range(500)]

            async def pieces() -> AsyncIterator[bytes]:
                for number in range(50):
                    yield bytes((number,)) * 20_000

            joined = await up(channel)(pieces())
            assert joined == b"".join([piece async for piece in pieces()])

            call = both(channel)()
            for number in range(50):
                await call.write(b"%d" % number)
                assert await call.read() == b"%d" % number
            await call.done_writing()
            assert await call.read() == grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    async def test_a_large_message_in_a_stream_both_ways(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, _, _):
            call = both(channel)()
            for _ in range(3):
                await call.write(b"y" * (4 << 20))
                message = await call.read()
                assert isinstance(message, bytes)
                assert len(message) == 4 << 20
            await call.done_writing()

    @pytest.mark.parametrize(
        ("method", "code"),
        [("Fail", grpc.StatusCode.NOT_FOUND), ("None", grpc.StatusCode.UNIMPLEMENTED)],
    )
    async def test_refusals_are_trailers_only(
        self, tmp_path: Path, method: str, code: grpc.StatusCode
    ) -> None:
        async with chain(tmp_path / "s") as (channel, _, _):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await unary(channel, method)(b"")
            assert raised.value.code() == code

    async def test_cancellation_reaches_the_server(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, echo, running):
            call = down(channel, "Hang")(b"")
            assert await call.read() == b"started"
            call.cancel()
            async with asyncio.timeout(60):
                await echo.cancelled.wait()
            assert await unary(channel, "Unary")(b"alive") == b"alive"
            assert len(running.connections) == 1

    async def test_deadlines(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, echo, _):
            seconds = 0.2
            while not echo.started.is_set():  # on a busy machine it may not get there in time
                call = down(channel, "Hang")(b"", timeout=seconds)
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    _ = [m async for m in call]
                assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                seconds *= 2
            async with asyncio.timeout(60):
                await echo.cancelled.wait()

    async def test_a_drained_connection_is_followed_by_another(self, tmp_path: Path) -> None:
        async with chain(tmp_path / "s") as (channel, echo, running):
            running_call = down(channel, "Hang")(b"")
            assert await running_call.read() == b"started"
            running.connections[0].drain()
            assert await unary(channel, "Unary")(b"new") == b"new"
            assert not echo.cancelled.is_set()
            running_call.cancel()

    async def test_an_upstream_that_goes_away(self, tmp_path: Path) -> None:
        async with (
            proxying(Origin("api", 0, path=str(tmp_path / "none"), h2=True)) as running,
            grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await unary(channel, "Unary")(b"")
            assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


def answer(stream: RequestStream) -> None:
    """Say how much came."""
    Upload(stream)


class Upload(Request):
    def __init__(self, stream: RequestStream) -> None:
        super().__init__(stream)
        if stream.complete:
            self.finish()

    def request_ended(self, trailers: tuple[tuple[bytes, bytes], ...]) -> None:
        super().request_ended(trailers)
        self.finish()

    def finish(self) -> None:
        self.stream.send_head(200, TEXT, b"%d" % len(self.body), end=True)


class TestCurl:
    @staticmethod
    async def run(*arguments: str) -> bytes:
        curl = shutil.which("curl")
        assert curl is not None, "these tests need curl with HTTP/2"
        process = await asyncio.create_subprocess_exec(
            curl,
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "60",
            "--http2-prior-knowledge",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output

    async def test_requests(self, tmp_path: Path) -> None:
        upload = tmp_path / "upload"
        upload.write_bytes(b"x" * 3_000_000)
        async with serving(answer) as running:
            url = f"http://127.0.0.1:{running.port}/"
            assert await self.run(url) == b"0"
            assert await self.run("--data-binary", f"@{upload}", url) == b"3000000"
            assert await self.run("--data", "small", url) == b"5"
            assert (await self.run("--head", url)).startswith(b"HTTP/2 200")

    async def test_through_the_proxy(self) -> None:
        def large(stream: RequestStream) -> None:
            stream.send_head(200, EMPTY, b"z" * 5_000_000, end=True)
            stream.receiver = Request(stream)

        async with (
            serving(large) as upstream,
            proxying(Origin("127.0.0.1", upstream.port, h2=True)) as running,
        ):
            url = f"http://127.0.0.1:{running.port}/"
            assert await self.run(url) == b"z" * 5_000_000


class Transport:
    """What a shell writes to."""

    def __init__(self) -> None:
        self.written = b""
        self.state = "open"
        self.writes = 0
        self.pending = 0
        self.reading = True

    def write(self, data: bytes) -> None:
        assert self.state == "open"
        self.writes += 1
        self.written += data

    def take(self) -> bytes:
        written, self.written = self.written, b""
        return written

    def write_eof(self) -> None:
        self.state = "half-closed"

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def is_closing(self) -> bool:
        return self.state in {"closed", "aborted"}

    def get_write_buffer_size(self) -> int:
        return self.pending

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading


GREETING = frames.PREFACE + frames.settings([])
GET_BLOCK = b"\x82\x84\x87\x41\x01a"


class Session:
    """A server's shell with a transport and a clock of ours."""

    def __init__(self) -> None:
        self.ticker = Ticker()
        self.ticker.now = 0.0
        self.requests: list[Request] = []
        self.transport = Transport()
        self.shell = H2Server(
            PEER,
            lambda stream: self.requests.append(Request(stream)),
            ticker=self.ticker,
            refusals=EMPTY,
        )
        self.shell.connection_made(self.transport)

    def greet(self) -> None:
        self.shell.data_received(GREETING)
        self.transport.take()

    def get(self, number: int) -> Request:
        self.shell.data_received(frames.headers(number, GET_BLOCK, end=True, max_frame=16_384))
        return self.requests[-1]


class TestServer:
    async def test_one_write_per_turn(self) -> None:
        session = Session()
        session.greet()
        writes = session.transport.writes
        for number in (1, 3, 5):
            session.get(number)
        assert session.transport.writes == writes
        for request in session.requests:
            request.stream.send_head(200, TEXT, b"x", end=True)
        assert session.transport.writes == writes
        await asyncio.sleep(0)
        assert session.transport.writes == writes + 1
        assert len(split(session.transport.take())) == 6

    async def test_a_client_that_asks_nothing(self) -> None:
        session = Session()
        session.greet()
        session.shell.tick(SERVER_LIMITS.first_request - 1)
        assert session.transport.state == "open"
        session.shell.tick(SERVER_LIMITS.first_request + 1)
        assert goaway_code(split(session.transport.take())) == ErrorCode.NO_ERROR
        assert session.transport.state == "half-closed"
        session.shell.tick(1000)
        assert session.transport.state == "aborted"

    async def test_a_client_that_asks_no_more(self) -> None:
        session = Session()
        session.greet()
        session.get(1).stream.send_head(200, TEXT, end=True)
        await asyncio.sleep(0)
        session.shell.tick(11)
        session.shell.tick(SERVER_LIMITS.idle)
        assert session.transport.state == "open"
        session.shell.tick(11 + SERVER_LIMITS.idle)
        assert session.transport.state == "half-closed"

    async def test_a_client_that_is_silent_while_served_is_asked(self) -> None:
        session = Session()
        session.greet()
        session.get(1)
        now = 11.0
        session.shell.tick(now)
        assert session.transport.take() == b""
        now += SERVER_LIMITS.ping_after
        session.shell.tick(now)
        await asyncio.sleep(0)
        (ping,) = split(session.transport.take())
        session.shell.data_received(frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        now += SERVER_LIMITS.ping_timeout
        session.shell.tick(now)
        assert session.transport.state == "open"
        for _ in range(3):
            now += SERVER_LIMITS.ping_after + SERVER_LIMITS.ping_timeout
            session.shell.tick(now)
        assert session.transport.state == "aborted"
        session.shell.connection_lost(None)
        assert session.requests[0].aborted is not None
        assert len(session.ticker) == 0

    async def test_of_a_silent_client_nothing_is_remembered_but_what_it_needs(self) -> None:
        session = Session()
        session.greet()
        session.get(1)
        heads = session.shell._core.heads
        session.shell.tick(11)
        assert heads._fixed
        session.shell.tick(11 + SERVER_LIMITS.ping_after)
        assert (heads._blocks, heads._fixed, heads._heads) == ({}, {}, {})
        session.get(3)
        first, second = session.requests
        assert first.stream.head.target == second.stream.head.target

    async def test_a_connection_that_is_gone_holds_its_protocol_no_more(self) -> None:
        """A cycle of the two would wait for the garbage collector, with all that they hold."""
        session = Session()
        session.greet()
        session.get(1)
        core = session.shell._core
        assert any(each.__self__ is session.shell for each in bound(core))
        session.shell.connection_lost(None)
        assert not any(each.__self__ is session.shell for each in bound(core))
        core.send(b"late")

    async def test_a_client_that_takes_nothing_waits_outside_and_is_cut(self) -> None:
        session = Session()
        session.greet()
        session.get(1)
        session.shell.pause_writing()
        session.transport.pending = 1000
        session.get(3)
        assert not session.transport.is_reading()
        session.shell.resume_writing()
        await asyncio.sleep(0)
        assert session.transport.is_reading()
        session.shell.pause_writing()
        now = 5.0
        session.shell.tick(now)
        session.transport.pending = 900
        session.shell.tick(now + 50)
        session.shell.tick(now + 109)
        assert session.transport.state == "open"
        session.shell.tick(now + 110)
        assert session.transport.state == "aborted"

    async def test_while_the_client_takes_something_it_need_not_say_that_it_lives(self) -> None:
        session = Session()
        session.greet()
        session.get(1)
        session.shell.pause_writing()
        for second in range(300):
            session.transport.pending = 10_000 - second
            session.shell.tick(second)
        assert session.transport.state == "open"

    async def test_one_read_with_more_requests_than_a_client_may_send(self) -> None:
        session = Session()
        session.greet()
        stream = b"".join(
            frames.headers(number, GET_BLOCK, end=True, max_frame=16_384)
            for number in range(1, 501, 2)
        )

        def answer(stream: RequestStream) -> None:
            session.requests.append(Request(stream))
            stream.send_head(200, TEXT, end=True)

        session.shell._core.handler = answer
        session.shell.data_received(stream)
        assert len(session.requests) == SERVER_LIMITS.max_streams
        assert len(split(session.transport.take())) == SERVER_LIMITS.max_streams
        session.shell.pause_writing()
        await asyncio.sleep(0)
        assert len(session.requests) == SERVER_LIMITS.max_streams
        assert not session.transport.is_reading()
        session.shell.resume_writing()
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(session.requests) == 250
        assert session.transport.is_reading()

    async def test_after_a_fault_the_rest_is_read_and_thrown_away(self) -> None:
        session = Session()
        session.shell.data_received(b"GET / HTTP/1.1\r\n\r\n")
        assert kinds(split(session.transport.take()))[-1] == frames.GOAWAY
        assert session.transport.state == "half-closed"
        session.shell.data_received(b"x" * 1000)
        assert session.transport.state == "half-closed"
        session.shell.data_received(b"x" * (2 << 20))
        assert session.transport.state == "aborted"

    async def test_a_slow_transport_pauses_the_handler(self) -> None:
        session = Session()
        session.greet()
        request = session.get(1)
        session.shell.pause_writing()
        request.stream.send_head(200, TEXT, b"x")
        await asyncio.sleep(0)
        assert kinds(split(session.transport.take())) == [frames.HEADERS]
        assert request.told == ["paused"]
        session.shell.resume_writing()
        await asyncio.sleep(0)
        assert kinds(split(session.transport.take())) == [frames.DATA]
        assert request.told == ["paused", "resumed"]

    async def test_drain(self) -> None:
        session = Session()
        session.greet()
        request = session.get(1)
        session.shell.drain()
        await asyncio.sleep(0)
        ping = split(session.transport.take())[-1]
        session.shell.data_received(frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        assert session.transport.state == "open"
        request.stream.send_head(200, TEXT, end=True)
        await asyncio.sleep(0)
        assert session.transport.state == "half-closed"

    def test_the_end_of_the_clients_half_is_the_end(self) -> None:
        assert not Session().shell.eof_received()


class TestClient:
    def connect(self) -> tuple[H2Client, Transport, list[str]]:
        told: list[str] = []
        shell = H2Client(lambda _: told.append("released"), lambda _: told.append("lost"))
        assert not shell.available()
        transport = Transport()
        shell.connection_made(transport)
        return shell, transport, told

    async def test_its_life(self) -> None:
        shell, transport, told = self.connect()
        assert shell.available()
        assert shell.idle()
        response = Response()
        request = UpstreamRequest(b"GET", b"/", b"host", FieldBlock(()))
        shell.open(request, response, b"", True)
        assert not shell.idle()
        await asyncio.sleep(0)
        assert transport.take().startswith(frames.PREFACE)
        shell.data_received(
            frames.settings([]) + frames.headers(1, b"\x88", end=True, max_frame=99)
        )
        assert response.trailers == ()
        assert shell.idle()
        shell.close()
        assert transport.state == "closed"
        assert not shell.available()
        shell.connection_lost(None)
        assert told == ["lost"]

    async def test_room_is_reported(self) -> None:
        shell, _, told = self.connect()
        shell.data_received(frames.settings([(frames.Setting.MAX_CONCURRENT_STREAMS, 1)]))
        request = UpstreamRequest(b"GET", b"/", b"host", FieldBlock(()))
        shell.open(request, Response(), b"", True)
        assert not shell.available()
        shell.data_received(frames.headers(1, b"\x88", end=True, max_frame=99))
        assert told == ["released"]
        assert shell.available()

    async def test_closing_fails_what_runs(self) -> None:
        shell, _, _ = self.connect()
        response = Response()
        shell.open(UpstreamRequest(b"GET", b"/", b"host", FieldBlock(())), response, b"", True)
        shell.close()
        assert response.error is not None
        assert response.error.failure is Failure.CLOSED
