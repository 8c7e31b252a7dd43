from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from octelium.http.h2 import frames
from octelium.http.h2.frames import ErrorCode, Setting
from octelium.http.h2.server import ServerConnection
from octelium.http.h2.settings import SERVER_LIMITS
from octelium.http.message import FieldBlock
from tests.http.h2.wire import (
    GET,
    PEER,
    POST,
    REFUSALS,
    TEXT,
    Clock,
    RawClient,
    Request,
    goaway_code,
    kinds,
    reset_code,
    split,
)

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream


def test_the_greeting_says_what_we_allow() -> None:
    client = RawClient()
    settings, update = client.greeting
    assert settings.kind == frames.SETTINGS
    assert dict(frames.SETTING.iter_unpack(settings.payload)) == {
        Setting.INITIAL_WINDOW_SIZE: SERVER_LIMITS.stream_window,
        Setting.MAX_HEADER_LIST_SIZE: 32 << 10,
        Setting.MAX_CONCURRENT_STREAMS: 100,
    }
    allowed = int.from_bytes(update.payload) + frames.DEFAULT_WINDOW
    assert allowed == SERVER_LIMITS.connection_window


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"])
def test_another_preface_ends_the_connection(data: bytes) -> None:
    core = ServerConnection(
        lambda stream: None,
        PEER,
        refusals=REFUSALS,
        clock=Clock(),
        wake=lambda: None,
        limits=SERVER_LIMITS,
    )
    core.start()
    core.turn()
    for byte in data:
        core.receive(bytes((byte,)))
    assert goaway_code(split(b"".join(core.turn()))) == ErrorCode.PROTOCOL_ERROR
    assert core.closed


def test_a_request_and_its_response() -> None:
    client = RawClient()
    request = client.get()
    assert request.stream.head.target == b"/"
    assert request.stream.head.scheme == b"https"
    assert request.stream.complete
    request.stream.send_head(200, TEXT, b"hello", end=True)
    head, body = client.turn()
    assert client.fields(head) == [(b":status", b"200"), (b"content-type", b"text/plain")]
    assert (body.payload, body.flags) == (b"hello", frames.END_STREAM)
    assert not client.core.streams
    assert client.woken == 1


def test_the_body_behind_the_head_comes_with_it() -> None:
    client = RawClient()
    client.send(
        frames.headers(1, client.block(POST), end=False, max_frame=16_384)
        + frames.frame(frames.DATA, frames.END_STREAM, 1, b"body")
    )
    (request,) = client.requests
    assert request.stream.early == b"body"
    assert request.stream.complete


def test_the_first_part_of_a_body_comes_with_the_head() -> None:
    client = RawClient()
    client.send(
        frames.headers(1, client.block(POST), end=False, max_frame=16_384)
        + frames.frame(frames.DATA, 0, 1, b"one")
        + frames.frame(frames.DATA, 0, 1, b"two")
    )
    (request,) = client.requests
    assert request.stream.early == b"one"
    assert not request.stream.complete
    assert request.data == [b"one", b"two"]
    client.data(1, end=True)
    assert request.trailers == ()


def test_trailers_behind_the_head_are_delivered() -> None:
    client = RawClient()
    client.send(
        frames.headers(1, client.block(POST), end=False, max_frame=16_384)
        + frames.headers(1, client.block([(b"x-sum", b"1")]), end=True, max_frame=16_384)
    )
    (request,) = client.requests
    assert not request.stream.complete
    assert request.trailers == ((b"x-sum", b"1"),)


def test_a_streamed_response_with_trailers() -> None:
    client = RawClient()
    stream = client.get().stream
    stream.send_informational(103, FieldBlock(((b"link", b"</a>"),)))
    stream.send_head(200, TEXT)
    stream.send_data(b"a")
    stream.send_data(b"")
    stream.send_end(((b"grpc-status", b"0"),))
    hint, head, data, trailers = client.turn()
    assert client.fields(hint)[0] == (b":status", b"103")
    assert client.fields(head)[0] == (b":status", b"200")
    assert data.payload == b"a"
    assert client.fields(trailers) == [(b"grpc-status", b"0")]
    assert [f.flags & frames.END_STREAM for f in (hint, head, data, trailers)] == [0, 0, 0, 1]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_responses_without_a_body(method: bytes, status: int) -> None:
    client = RawClient()
    client.headers(1, [(b":method", method), *GET[1:]])
    stream = client.requests[0].stream
    stream.send_head(status, TEXT, b"ignored")
    stream.send_data(b"ignored")
    stream.send_end()
    assert b"ignored" not in b"".join(frame.payload for frame in client.turn())


def test_an_early_response_asks_the_client_to_stop() -> None:
    client = RawClient()
    request = client.post()
    request.stream.send_head(403, TEXT, end=True)
    found = client.turn()
    assert kinds(found) == [frames.HEADERS, frames.RST_STREAM]
    assert reset_code(found, 1) == ErrorCode.NO_ERROR
    assert client.data(1, b"late", end=True) == []
    assert request.data == []
    assert request.trailers is None
    assert request.aborted is None


def test_the_handler_can_break_a_response_off() -> None:
    client = RawClient()
    stream = client.get().stream
    stream.send_head(200, TEXT)
    stream.reset()
    stream.send_data(b"x")
    stream.send_end()
    found = client.turn()
    assert kinds(found) == [frames.HEADERS, frames.RST_STREAM]
    assert reset_code(found, 1) == ErrorCode.INTERNAL_ERROR


def test_a_cancelled_request_is_aborted_once() -> None:
    client = RawClient()
    request = client.get()
    client.send(frames.rst_stream(1, ErrorCode.CANCEL))
    assert request.aborted == "reset with CANCEL"
    request.stream.send_head(200, TEXT, b"x", end=True)
    assert client.turn() == []
    client.core.lost("gone")


def test_a_lost_connection_aborts_what_runs() -> None:
    client = RawClient()
    running, answered = client.get(1), client.get(3)
    answered.stream.send_head(200, TEXT, end=True)
    client.core.lost("gone")
    assert (running.aborted, answered.aborted) == ("gone", None)


class TestMalformed:
    def test_is_answered_and_reset(self) -> None:
        client = RawClient()
        found = client.headers(1, [*GET, (b"Upper", b"x")])
        assert client.fields(found[0]) == [
            (b":status", b"400"),
            (b"server", b"octelium"),
            (b"content-length", b"0"),
        ]
        assert reset_code(found, 1) == ErrorCode.PROTOCOL_ERROR
        assert client.requests == []
        client.get(3)

    def test_too_large_a_head_is_answered_and_the_connection_lives(self) -> None:
        client = RawClient()
        found = client.send(
            frames.headers(
                1,
                client.block([*GET, *[(b"x-%d" % n, b"y" * 400) for n in range(90)]]),
                end=True,
                max_frame=16_384,
            )
        )
        assert client.fields(found[0])[0] == (b":status", b"431")
        assert reset_code(found, 1) == ErrorCode.NO_ERROR
        client.get(3)

    @pytest.mark.parametrize("data", [[b"123"], [b"123456"], [b"1234", b"56"]])
    def test_content_length_must_match(self, data: list[bytes]) -> None:
        client = RawClient()
        client.headers(1, [*POST, (b"content-length", b"5")], end=False)
        (request,) = client.requests
        found = []
        for piece in data:
            found += client.data(1, piece, end=piece == data[-1])
        assert client.fields(found[0])[0] == (b":status", b"400")
        assert reset_code(found, 1) == ErrorCode.PROTOCOL_ERROR
        assert request.aborted is not None
        assert request.trailers is None

    def test_content_length_with_trailers_must_match(self) -> None:
        client = RawClient()
        client.headers(1, [*POST, (b"content-length", b"5")], end=False)
        found = client.headers(1, [(b"x", b"y")])
        assert reset_code(found, 1) == ErrorCode.PROTOCOL_ERROR
        assert client.requests[0].aborted is not None

    def test_nothing_more_is_answered_behind_a_head(self) -> None:
        client = RawClient()
        client.headers(1, [*POST, (b"content-length", b"5")], end=False)
        client.requests[0].stream.send_head(200, TEXT)
        client.turn()
        assert kinds(client.data(1, b"123456")) == [frames.RST_STREAM]

    @pytest.mark.parametrize("fields", [[(b":path", b"/")], [(b"Upper", b"x")]])
    def test_trailers(self, fields: list[tuple[bytes, bytes]]) -> None:
        client = RawClient()
        request = client.post()
        assert reset_code(client.headers(1, fields), 1) == ErrorCode.PROTOCOL_ERROR
        assert request.aborted is not None

    def test_a_second_head(self) -> None:
        client = RawClient()
        client.post()
        found = client.headers(1, [(b"x", b"y")], end=False)
        assert reset_code(found, 1) == ErrorCode.PROTOCOL_ERROR

    @pytest.mark.parametrize("kind", [frames.DATA, frames.HEADERS])
    def test_frames_behind_the_end(self, kind: int) -> None:
        client = RawClient()
        request = client.get()
        found = client.data(1, b"x") if kind == frames.DATA else client.headers(1, [(b"x", b"y")])
        assert reset_code(found, 1) == ErrorCode.STREAM_CLOSED
        assert request.aborted is not None

    def test_frames_for_a_stream_that_is_over(self) -> None:
        client = RawClient()
        client.get().stream.send_head(200, TEXT, end=True)
        client.turn()
        assert client.send(frames.window_update(1, 5)) == []
        assert client.send(frames.rst_stream(1, 0)) == []
        assert goaway_code(client.data(1, b"x")) == ErrorCode.STREAM_CLOSED

    def test_stream_numbers_only_rise(self) -> None:
        client = RawClient()
        client.get(5)
        assert goaway_code(client.headers(3, GET)) == ErrorCode.STREAM_CLOSED

    def test_even_numbers_are_the_servers(self) -> None:
        assert goaway_code(RawClient().headers(2, GET)) == ErrorCode.PROTOCOL_ERROR


class TestLimits:
    def test_more_streams_than_allowed_are_refused(self) -> None:
        client = RawClient(replace(SERVER_LIMITS, max_streams=2))
        client.get(1)
        client.get(3)
        found = client.headers(5, [*GET, (b"x-table", b"kept")])
        assert reset_code(found, 5) == ErrorCode.REFUSED_STREAM
        client.requests[0].stream.send_head(200, TEXT, end=True)
        client.turn()
        client.headers(7, [*GET, (b"x-table", b"kept")])
        assert client.requests[-1].stream.head.block.first(b"x-table") == b"kept"

    def test_rapid_reset(self) -> None:
        client = RawClient()
        found = []
        number = 1
        while not client.core.closed and number < 4000:
            found = client.headers(number, GET)
            found += client.send(frames.rst_stream(number, ErrorCode.CANCEL))
            number += 2
        assert goaway_code(found) == ErrorCode.ENHANCE_YOUR_CALM
        assert number < 1100
        assert all(request.aborted for request in client.requests)

    def test_resets_that_the_peer_makes_us_send_count_too(self) -> None:
        client = RawClient()
        found = []
        number = 1
        while not client.core.closed and number < 4000:
            found = client.headers(number, GET)
            found += client.send(frames.window_update(number, 0))
            number += 2
        assert goaway_code(found) == ErrorCode.ENHANCE_YOUR_CALM

    def test_resets_now_and_then_are_fine(self) -> None:
        client = RawClient()
        for number in range(1, 4001, 2):
            client.headers(number, GET)
            client.send(frames.rst_stream(number, ErrorCode.CANCEL))
            client.clock.now += 0.05
        assert not client.core.closed

    def test_streams_that_stand_still_are_reset(self) -> None:
        client = RawClient(replace(SERVER_LIMITS, stream_timeout=100))
        still, moving = client.post(1), client.post(3)
        found = []
        for now in range(0, 240, 60):
            client.data(3, b"x")
            client.core.sweep(now)
            found += client.turn()
        assert reset_code(found, 1) == ErrorCode.CANCEL
        assert still.aborted == "stream timed out"
        assert moving.aborted is None

    def test_what_waits_for_a_window_has_less_time(self) -> None:
        client = RawClient(settings=[(Setting.INITIAL_WINDOW_SIZE, 0)])
        full, empty = client.get(1), client.get(3)
        for request in (full, empty):
            request.stream.send_head(200, TEXT)
        full.stream.send_data(b"x")
        client.core.sweep(0)
        client.core.sweep(300)
        assert len(client.core.streams) == 2
        client.core.sweep(301)
        assert full.aborted == "stream timed out"
        assert empty.aborted is None

    def test_bodies_that_do_not_come_in_their_time(self) -> None:
        client = RawClient()
        silent, answered, lifted, done = (client.post(number) for number in (1, 3, 5, 7))
        answered.stream.send_head(200, TEXT)
        for request in (silent, answered, lifted, done):
            request.stream.deadline(30)
        lifted.stream.deadline(math.inf)
        assert set(client.core.deadlines) == {1, 3, 7}
        client.data(1, b"x")
        client.data(7, b"x", end=True)
        client.core.sweep(client.clock.now + 29)
        assert client.turn() == []
        client.core.sweep(client.clock.now + 30)
        found = client.turn()
        assert client.fields(found[0])[0] == (b":status", b"408")
        assert reset_code(found[:2], 1) == ErrorCode.NO_ERROR
        assert reset_code(found[2:], 3) == ErrorCode.CANCEL
        aborted = [request.aborted for request in (silent, answered, lifted, done)]
        assert aborted == ["request body took too long"] * 2 + [None] * 2

    def test_few_bodies_with_deadlines_at_once(self) -> None:
        def handler(stream: RequestStream) -> None:
            client.requests.append(Request(stream))
            stream.deadline(30)

        client = RawClient(replace(SERVER_LIMITS, limited_bodies=4), handler)
        for number in range(1, 9, 2):
            client.post(number)
        assert reset_code(client.headers(9, POST, end=False), 9) == ErrorCode.REFUSED_STREAM
        client.get(11)
        client.data(3, b"x", end=True)
        client.post(13)
        assert reset_code(client.headers(15, POST, end=False), 15) == ErrorCode.REFUSED_STREAM


class TestDrain:
    def test_what_is_under_way_is_served(self) -> None:
        client = RawClient()
        first = client.get(1)
        client.core.drain()
        warning, ping = client.turn()
        assert int.from_bytes(warning.payload[:4]) == 2**31 - 1
        second = client.get(3)
        (last,) = client.send(frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        assert int.from_bytes(last.payload[:4]) == 3
        assert reset_code(client.headers(5, GET), 5) == ErrorCode.REFUSED_STREAM
        for request in (first, second):
            assert not client.core.closed
            request.stream.send_head(200, TEXT, end=True)
            client.turn()
        assert client.core.closed

    def test_an_idle_connection_is_closed_after_the_answer(self) -> None:
        client = RawClient()
        client.core.drain()
        client.core.drain()
        _, ping = client.turn()
        client.send(frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        assert client.core.closed

    def test_a_client_that_leaves_is_served_to_the_end(self) -> None:
        client = RawClient()
        request = client.get()
        assert goaway_code(client.send(frames.goaway(0, ErrorCode.NO_ERROR))) == ErrorCode.NO_ERROR
        assert not client.core.closed
        request.stream.send_head(200, TEXT, end=True)
        client.turn()
        assert client.core.closed


class TestHandlers:
    def test_one_that_raises_gives_500(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(stream: RequestStream) -> None:
            raise LookupError("bug")

        client = RawClient(handler=broken)
        with caplog.at_level(logging.ERROR):
            found = client.headers(1, GET)
        assert client.fields(found[0])[0] == (b":status", b"500")
        assert reset_code(found, 1) == ErrorCode.INTERNAL_ERROR
        assert "bug" in caplog.text
        assert "bug" not in str(found)
        assert not client.core.closed

    def test_one_that_forgets_the_receiver_gives_500(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = RawClient(handler=lambda stream: None)
        found = client.headers(1, GET)
        assert client.fields(found[0])[0] == (b":status", b"500")
        assert "without a receiver" in caplog.text

    def test_one_that_raises_later_loses_its_stream_only(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(Request):
            def request_data(self, data: bytes) -> None:
                raise LookupError("bug")

        client = RawClient(handler=lambda stream: client.requests.append(Broken(stream)))
        client.post(1)
        client.post(3)
        client.requests[0].stream.send_head(200, TEXT)
        client.turn()
        found = client.data(1, b"x")
        assert kinds(found) == [frames.RST_STREAM]
        assert "bug" in caplog.text
        assert list(client.core.streams) == [3]

    def test_a_second_head_is_a_bug(self) -> None:
        stream = RawClient().get().stream
        stream.send_head(200, TEXT)
        with pytest.raises(RuntimeError):
            stream.send_head(200, TEXT)

    def test_there_are_no_upgrades(self) -> None:
        stream = RawClient().get().stream
        with pytest.raises(RuntimeError):
            stream.upgrade()
