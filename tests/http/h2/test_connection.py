"""Wrong frames, and whole connections between two cores and with the h2 library."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.http.h2 import frames
from octelium.http.h2.client import ClientConnection
from octelium.http.h2.frames import ErrorCode, frame
from octelium.http.h2.server import ServerConnection
from octelium.http.h2.settings import CLIENT_LIMITS
from octelium.http.message import FieldBlock, UpstreamRequest
from tests.conftest import SOAK
from tests.http.h2.wire import (
    GET,
    PEER,
    POST,
    REFUSALS,
    TEXT,
    Clock,
    RawClient,
    RawServer,
    Request,
    Response,
    goaway_code,
    kinds,
    split,
)

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream


class TestFrames:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (frame(frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.DATA, 0, 9, b"x"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.DATA, frames.PADDED, 1, b"\x05abcd"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.DATA, frames.PADDED, 1), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.DATA, 0, 1, b"x" * 16_385), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.HEADERS, 4, 0, b"\x82"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.HEADERS, 0x24, 3, b"\0\0\0"), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.HEADERS, 0x0C, 3, b"\x09\x82"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.HEADERS, 4, 3, b"\x80"), ErrorCode.COMPRESSION_ERROR),
            (frame(frames.PRIORITY, 0, 0, b"\0" * 5), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.PRIORITY, 0, 1, b"\0" * 4), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.RST_STREAM, 0, 0, b"\0" * 4), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.RST_STREAM, 0, 9, b"\0" * 4), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.RST_STREAM, 0, 1, b"\0" * 5), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.SETTINGS, 0, 0, b"\0"), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.SETTINGS, 1, 0, b"\0" * 6), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.PING, 0, 1, b"\0" * 8), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.PING, 0, 0, b"\0" * 7), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.GOAWAY, 0, 1, b"\0" * 8), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.GOAWAY, 0, 0, b"\0" * 7), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.WINDOW_UPDATE, 0, 0, b"\0" * 4), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.WINDOW_UPDATE, 0, 0, b"\0" * 3), ErrorCode.FRAME_SIZE_ERROR),
            (frame(frames.WINDOW_UPDATE, 0, 9, b"\0\0\0\1"), ErrorCode.PROTOCOL_ERROR),
            (frame(frames.CONTINUATION, 4, 1, b"\x82"), ErrorCode.PROTOCOL_ERROR),
        ],
    )
    def test_connection_errors(self, data: bytes, code: ErrorCode) -> None:
        client = RawClient()
        request = client.get()
        found = client.send(data)
        assert goaway_code(found) == code
        assert int.from_bytes(found[-1].payload[:4]) in {1, 3}
        assert request.aborted is not None
        assert client.core.closed
        assert client.send(frame(frames.PING, 0, 0, b"\0" * 8)) == []

    def test_ping_is_answered(self) -> None:
        (pong,) = RawClient().send(frame(frames.PING, 0, 0, b"12345678"))
        assert (pong.kind, pong.flags, pong.payload) == (frames.PING, frames.ACK, b"12345678")

    def test_unknown_frames_flags_and_priorities_are_ignored(self) -> None:
        client = RawClient()
        client.get()
        assert client.send(frame(0x42, 0xFF, 0, b"x") + frame(0x43, 0, 77, b"")) == []
        assert client.send(frame(frames.PRIORITY, 0, 55, b"\0\0\0\1\x10")) == []
        assert not client.core.closed

    def test_reserved_bits_are_ignored(self) -> None:
        client = RawClient()
        data = frames.headers(1, client.block(GET), end=True, max_frame=16_384)
        client.send(data[:5] + bytes((data[5] | 0x80,)) + data[6:])
        assert len(client.requests) == 1

    def test_padding_and_priority_are_taken_off(self) -> None:
        client = RawClient()
        payload = b"\x03" + b"\0\0\0\0\x10" + client.block(GET) + b"\0" * 3
        client.send(frame(frames.HEADERS, 0x2D, 1, payload))
        assert len(client.requests) == 1

    def test_the_first_frame_must_be_settings(self) -> None:
        core = RawClient().core
        core._settled = False
        core.receive(frame(frames.PING, 0, 0, b"\0" * 8))
        assert core.closed

    @given(st.data())
    @settings(deadline=None, max_examples=30)
    def test_however_the_bytes_are_cut(self, data: st.DataObject) -> None:
        client = RawClient()
        stream = b"".join(
            [
                frames.headers(1, client.block(POST), end=False, max_frame=7),
                frame(frames.DATA, 0, 1, b"abc"),
                frame(frames.PING, 0, 0, b"12345678"),
                frame(frames.DATA, frames.PADDED, 1, b"\x02def\0\0"),
                frames.headers(1, client.block([(b"x", b"y")]), end=True, max_frame=16_384),
            ]
        )
        found = []
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            found += client.send(stream[:size])
            stream = stream[size:]
        assert kinds(found) == [frames.PING]
        (request,) = client.requests
        assert (request.body, request.trailers) == (b"abcdef", ((b"x", b"y"),))


class TestHeaderBlocks:
    def test_nothing_may_come_between(self) -> None:
        for data in (
            frame(frames.PING, 0, 0, b"\0" * 8),
            frame(frames.CONTINUATION, 4, 3, b""),
            frame(0x42, 0, 0, b""),
            frame(frames.HEADERS, 4, 1, b"\x82"),
        ):
            client = RawClient()
            client.send(frame(frames.HEADERS, 0, 1, b"\x82"))
            assert goaway_code(client.send(data)) == ErrorCode.PROTOCOL_ERROR

    def test_many_continuations(self) -> None:
        client = RawClient()
        found = client.send(frame(frames.HEADERS, 0, 1, client.block(GET)))
        sent = 0
        while not client.core.closed and sent < 1000:
            found = client.send(frame(frames.CONTINUATION, 0, 1))
            sent += 1
        assert goaway_code(found) == ErrorCode.ENHANCE_YOUR_CALM
        assert sent <= 20

    def test_large_continuations(self) -> None:
        client = RawClient()
        found = client.send(frame(frames.HEADERS, 0, 1, b"\0" * 16_000))
        for _ in range(3):
            if not client.core.closed:
                found = client.send(frame(frames.CONTINUATION, 0, 1, b"\0" * 16_000))
        assert goaway_code(found) == ErrorCode.ENHANCE_YOUR_CALM


class Link:
    """A client core and a server core, joined byte by byte as chance has it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.requests: list[Request] = []
        clock = Clock()
        self.server = ServerConnection(
            self._serve, PEER, refusals=REFUSALS, clock=clock, wake=lambda: None
        )
        self.client = ClientConnection(clock=clock, wake=lambda: None, freed=lambda: None)
        self.to_server = self.to_client = b""
        self.server.start()
        self.client.start()

    def _serve(self, stream: RequestStream) -> None:
        self.requests.append(Echo(stream))

    def step(self) -> bool:
        """Move some bytes; False if there were none."""
        self.to_client += b"".join(self.server.turn())
        self.to_server += b"".join(self.client.turn())
        moved = bool(self.to_client or self.to_server)
        size = self.random.randint(1, 70_000)
        self.server.receive(self.to_server[:size])
        self.to_server = self.to_server[size:]
        size = self.random.randint(1, 70_000)
        self.client.receive(self.to_client[:size])
        self.to_client = self.to_client[size:]
        return moved

    def run(self) -> None:
        while self.step():
            pass


class Echo(Request):
    """Answers with the request's body and trailers, and heeds what it is told."""

    def __init__(self, stream: RequestStream) -> None:
        super().__init__(stream)
        stream.send_head(200, TEXT, stream.early, end=stream.complete)

    def request_data(self, data: bytes) -> None:
        super().request_data(data)
        self.stream.send_data(data)

    def request_ended(self, trailers: tuple[tuple[bytes, bytes], ...]) -> None:
        super().request_ended(trailers)
        self.stream.send_end(trailers)

    def downstream_paused(self) -> None:
        super().downstream_paused()
        self.stream.pause_receiving()

    def downstream_resumed(self) -> None:
        super().downstream_resumed()
        self.stream.resume_receiving()


def echo(stream: RequestStream) -> None:
    Echo(stream)


@given(
    st.lists(st.lists(st.integers(0, 400_000), max_size=4), min_size=1, max_size=5),
    st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=40)
def test_what_goes_in_comes_out(bodies: list[list[int]], seed: int) -> None:
    link = Link(seed)
    block = FieldBlock(((b"x-test", b"yes"),))
    responses = []
    for pieces in bodies:
        response = Response()
        request = UpstreamRequest(b"POST", b"/echo", b"host", block, True)
        stream = link.client.open(request, response, b"", end=False)
        responses.append(response)
        for number, size in enumerate(pieces):
            stream.send_data(bytes((number + 1,)) * size)
            if link.random.random() < 0.3:
                stream.pause_receiving()
                link.step()
                stream.resume_receiving()
        stream.send_end(((b"x-count", b"%d" % len(pieces)),))
    link.run()
    for pieces, response in zip(bodies, responses, strict=True):
        expected = b"".join(bytes((n + 1,)) * size for n, size in enumerate(pieces))
        assert response.error is None
        assert response.body == expected
        assert list(response.trailers or ()) == [(b"x-count", b"%d" % len(pieces))]
    assert not link.client.streams
    assert not link.server.streams
    assert not link.client.backlog
    assert not link.server.backlog
    assert link.server.waiting_bytes == link.client.waiting_bytes == 0


class TestWithTheH2Library:
    def test_it_as_client(self) -> None:
        library = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        server = ServerConnection(echo, PEER, refusals=REFUSALS, clock=Clock(), wake=lambda: None)
        server.start()
        library.initiate_connection()
        bodies = {}
        for number, size in ((1, 0), (3, 10), (5, 60_000)):
            library.send_headers(number, [*POST, (b"cookie", b"a=b")], end_stream=not size)
            for _ in range(0, size, 10_000):
                library.send_data(number, b"x" * min(size, 10_000))
            if size:
                library.end_stream(number)
            bodies[number] = 0
        ended = set()
        for _ in range(20):
            server.receive(library.data_to_send())
            for event in library.receive_data(b"".join(server.turn())):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += len(event.data)
                    library.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
                assert not isinstance(event, h2.events.ConnectionTerminated)
        assert bodies == {1: 0, 3: 10, 5: 60_000}
        assert ended == {1, 3, 5}

    def test_it_as_server(self) -> None:
        library = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        library.initiate_connection()
        client = ClientConnection(clock=Clock(), wake=lambda: None, freed=lambda: None)
        client.start()
        large = FieldBlock([(b"x-large", b"y" * 20_000), (b"te", b"trailers")])
        responses = []
        for size in (0, 10, 200_000):
            response = Response()
            request = UpstreamRequest(b"POST", b"/", b"host:1", large, bool(size))
            client.open(request, response, b"z" * size, end=True)
            responses.append((size, response))
        received: dict[int, int] = {}
        for _ in range(60):
            for event in library.receive_data(b"".join(client.turn())):
                if isinstance(event, h2.events.RequestReceived):
                    assert (b"x-large", b"y" * 20_000) in event.headers
                    received[event.stream_id] = 0
                elif isinstance(event, h2.events.DataReceived):
                    received[event.stream_id] += len(event.data)
                    library.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    number = event.stream_id
                    library.send_headers(number, [(b":status", b"103"), (b"link", b"</a>")])
                    library.send_headers(number, [(b":status", b"200"), (b"server", b"h2")])
                    library.send_data(number, b"%d" % received[number])
                    library.send_headers(number, [(b"grpc-status", b"0")], end_stream=True)
            client.receive(library.data_to_send())
        for size, response in responses:
            assert response.informational == [103]
            assert response.body == b"%d" % size
            assert list(response.trailers or ()) == [(b"grpc-status", b"0")]


class TestFuzz:
    """Whatever comes, nothing but an orderly end."""

    @staticmethod
    def check(client: RawClient | RawServer, pieces: list[bytes]) -> None:
        for piece in pieces:
            found = client.send(piece)
            if client.core.closed:
                assert goaway_code(found) != ErrorCode.INTERNAL_ERROR
                assert not client.core.streams
                assert client.core.waiting_bytes == 0
                return

    @given(st.lists(st.binary(max_size=200), max_size=8))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        self.check(RawClient(handler=echo), pieces)
        self.check(RawServer(), pieces)

    FRAME = st.builds(
        frame,
        st.integers(0, 11),
        st.sampled_from([0, 1, 4, 5, 8, 0x0D, 0x20, 0x25, 0xFF]),
        st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [
                    b"",
                    b"\0" * 4,
                    b"\0\0\0\1",
                    b"\x7f\xff\xff\xff",
                    b"\0" * 8,
                    b"\x82\x84\x87\x41\x01a",  # GET / of host a
                    b"\x83\x84\x87\x41\x01a",  # POST
                    b"\x88",  # status 200
                    b"\x40\x01x\x01y",
                    b"\xbe",
                    frames.SETTING.pack(4, 0),
                    frames.SETTING.pack(4, 2**31 - 1),
                    frames.SETTING.pack(5, 20_000),
                ]
            ),
        ),
    )

    @given(st.lists(FRAME, max_size=25))
    @settings(deadline=None, max_examples=2000 if SOAK else 80)
    def test_any_frames_at_a_server(self, pieces: list[bytes]) -> None:
        client = RawClient(handler=echo)
        self.check(client, pieces)

    @given(st.lists(FRAME, max_size=25))
    @settings(deadline=None, max_examples=2000 if SOAK else 80)
    def test_any_frames_at_a_client(self, pieces: list[bytes]) -> None:
        server = RawServer(replace(CLIENT_LIMITS, stream_window=70_000))
        responses = [server.open(), server.open(b"POST", b"x" * 70_000), server.open(b"HEAD")]
        server.turn()
        self.check(server, pieces)
        server.core.lost("over")
        server.turn()
        assert all(response.finished for response in responses)

    @given(st.integers(0, 2**32), st.integers(1, 6))
    @settings(deadline=None, max_examples=60)
    def test_flipped_bits(self, seed: int, flips: int) -> None:
        chance = random.Random(seed)
        client = RawClient(handler=echo)
        data = bytearray(
            frames.headers(1, client.block([*POST, (b"x", b"y" * 50)]), end=False, max_frame=50)
            + frame(frames.DATA, 0, 1, b"x" * 100)
            + frames.headers(3, client.block(GET), end=True, max_frame=16_384)
            + frame(frames.DATA, 1, 1, b"x" * 100)
            + frames.window_update(0, 5)
        )
        for _ in range(flips):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        self.check(client, [bytes(data)])


def test_split_wants_whole_frames() -> None:
    with pytest.raises(AssertionError):
        split(frame(frames.DATA, 0, 1, b"abc")[:-1])
