from __future__ import annotations

from dataclasses import replace

import pytest

from octelium.http.exchange import Failure
from octelium.http.h2 import frames
from octelium.http.h2.frames import ErrorCode, Setting
from octelium.http.h2.settings import CLIENT_LIMITS
from octelium.http.message import FieldBlock
from tests.http.h2.wire import RawServer, goaway_code, kinds, reset_code

OK = [(b":status", b"200")]


def test_the_greeting_forbids_push() -> None:
    settings, _ = RawServer().greeting
    values = dict(frames.SETTING.iter_unpack(settings.payload))
    assert values[Setting.ENABLE_PUSH] == 0
    assert values[Setting.INITIAL_WINDOW_SIZE] == CLIENT_LIMITS.stream_window


def test_a_request_and_its_response() -> None:
    server = RawServer()
    response = server.open(block=FieldBlock(((b"x-key", b"secret"),)))
    (head,) = server.turn()
    assert head.flags & frames.END_STREAM
    assert server.fields(head) == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"upstream"),
        (b":path", b"/"),
        (b"x-key", b"secret"),
    ]
    server.send(
        frames.headers(1, server.block(OK), end=False, max_frame=16_384)
        + frames.frame(frames.DATA, frames.END_STREAM, 1, b"hi")
    )
    assert response.head is not None
    assert (response.head.status, response.body, response.trailers) == (200, b"hi", ())
    assert not server.core.streams
    assert server.core.served == 1


def test_over_tls_the_scheme_is_https() -> None:
    server = RawServer()
    server.core.secure = True
    server.open()
    assert server.fields(server.turn()[0])[1] == (b":scheme", b"https")


def test_a_body_in_parts_with_trailers_both_ways() -> None:
    server = RawServer()
    response = server.open(b"POST", b"one", end=False)
    assert response.stream is not None
    response.stream.send_data(b"two")
    response.stream.send_end(((b"x-sum", b"1"),))
    head, one, two, trailers = server.turn()
    assert not head.flags & frames.END_STREAM
    assert (one.payload, two.payload) == (b"one", b"two")
    assert server.fields(trailers) == [(b"x-sum", b"1")]
    server.headers(1, OK, end=False)
    server.data(1, b"three")
    server.headers(1, [(b"grpc-status", b"0")])
    assert (response.body, response.trailers) == (b"three", ((b"grpc-status", b"0"),))


def test_a_response_that_is_trailers_only() -> None:
    server = RawServer()
    response = server.open(b"POST", b"x")
    server.turn()
    server.headers(1, [*OK, (b"grpc-status", b"12")])
    assert response.head is not None
    assert response.head.block.first(b"grpc-status") == b"12"
    assert response.trailers == ()


def test_informational_heads_come_first() -> None:
    server = RawServer()
    response = server.open()
    server.headers(1, [(b":status", b"100")], end=False)
    server.headers(1, [(b":status", b"103")], end=False)
    server.headers(1, OK)
    assert response.informational == [100, 103]
    assert response.trailers == ()


def test_too_many_informational_heads() -> None:
    server = RawServer()
    response = server.open()
    for _ in range(40):
        server.headers(1, [(b":status", b"103")], end=False)
    assert response.error is not None
    assert response.error.failure is Failure.PROTOCOL
    assert len(response.informational) == 32


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", b"200"), (b"GET", b"304")])
def test_responses_without_a_body(method: bytes, status: bytes) -> None:
    server = RawServer()
    response = server.open(method)
    server.headers(1, [(b":status", status), (b"content-length", b"99")], end=False)
    server.data(1, end=True)
    assert response.head is not None
    assert not response.head.has_body
    assert (response.error, response.trailers) == (None, ())
    response = server.open(method)
    server.headers(3, [(b":status", status)], end=False)
    assert reset_code(server.data(3, b"x"), 3) == ErrorCode.PROTOCOL_ERROR
    assert response.error is not None


def test_giving_up_sends_cancel_and_ignores_what_comes_late() -> None:
    server = RawServer()
    response = server.open()
    assert response.stream is not None
    response.stream.reset()
    found = server.turn()
    assert reset_code(found, 1) == ErrorCode.CANCEL
    server.headers(1, [*OK, (b"x-table", b"kept")], end=False)
    server.data(1, b"late")
    assert (response.head, response.error) == (None, None)
    response = server.open()
    server.headers(3, [*OK, (b"x-table", b"kept")])
    assert response.head is not None
    assert response.head.block.first(b"x-table") == b"kept"


class TestFailures:
    def test_refused_streams_may_be_sent_again(self) -> None:
        server = RawServer()
        response = server.open()
        server.send(frames.rst_stream(1, ErrorCode.REFUSED_STREAM))
        assert response.error is not None
        assert response.error.untouched

    def test_reset(self) -> None:
        server = RawServer()
        response = server.open()
        server.send(frames.rst_stream(1, ErrorCode.INTERNAL_ERROR))
        assert response.error is not None
        assert response.error.failure is Failure.RESET
        assert "INTERNAL_ERROR" in str(response.error)
        assert not response.error.untouched

    def test_a_reset_behind_a_complete_response_does_not_take_it_away(self) -> None:
        server = RawServer()
        response = server.open(b"POST", b"part", end=False)
        assert response.stream is not None
        response.stream.pause_receiving()
        server.headers(1, OK, end=False)
        server.data(1, b"answer", end=True)
        server.send(frames.rst_stream(1, ErrorCode.NO_ERROR))
        response.stream.send_data(b"more")
        response.stream.resume_receiving()
        assert server.turn() == []
        assert (response.body, response.trailers, response.error) == (b"answer", (), None)

    def test_a_reset_without_error_before_the_end_is_one(self) -> None:
        server = RawServer()
        response = server.open()
        server.headers(1, OK, end=False)
        server.send(frames.rst_stream(1, ErrorCode.NO_ERROR))
        assert response.error is not None

    def test_goaway_spares_the_streams_it_names(self) -> None:
        server = RawServer()
        first, second = server.open(), server.open()
        server.send(frames.goaway(1, ErrorCode.NO_ERROR))
        assert not server.core.available()
        assert first.error is None
        assert second.error is not None
        assert second.error.untouched
        server.headers(1, OK)
        assert first.trailers == ()
        assert server.core.closed

    def test_a_lost_connection(self) -> None:
        server = RawServer()
        first = server.open()
        server.core.lost("gone")
        assert first.error is not None
        assert first.error.failure is Failure.CLOSED
        assert not first.error.stale

    def test_a_lost_connection_that_had_served_is_stale(self) -> None:
        server = RawServer()
        server.open()
        server.headers(1, OK)
        waiting, answered = server.open(), server.open()
        server.headers(5, OK, end=False)
        server.core.lost("gone")
        assert waiting.error is not None
        assert answered.error is not None
        assert (waiting.error.stale, answered.error.stale) == (True, False)

    @pytest.mark.parametrize("data", [[b"123"], [b"123456"]])
    def test_content_length_must_match(self, data: list[bytes]) -> None:
        server = RawServer()
        response = server.open()
        server.headers(1, [*OK, (b"content-length", b"5")], end=False)
        for piece in data:
            server.data(1, piece, end=True)
        assert response.error is not None
        assert response.error.failure is Failure.PROTOCOL
        assert response.trailers is None

    def test_content_length_without_a_body(self) -> None:
        server = RawServer()
        response = server.open()
        server.headers(1, [*OK, (b"content-length", b"5")])
        assert response.error is not None

    def test_data_before_the_head(self) -> None:
        server = RawServer()
        response = server.open()
        assert reset_code(server.data(1, b"x"), 1) == ErrorCode.PROTOCOL_ERROR
        assert response.error is not None

    def test_a_malformed_head(self) -> None:
        server = RawServer()
        response = server.open()
        server.turn()
        found = server.headers(1, [*OK, (b"Upper", b"x")])
        assert kinds(found) == [frames.RST_STREAM]
        assert response.error is not None
        assert response.error.failure is Failure.PROTOCOL

    def test_trailers_must_end_the_stream(self) -> None:
        server = RawServer()
        response = server.open()
        server.headers(1, OK, end=False)
        server.headers(1, [(b"x", b"y")], end=False)
        assert response.error is not None

    def test_headers_behind_the_end(self) -> None:
        server = RawServer()
        response = server.open(b"POST", b"x", end=False)
        server.headers(1, OK)
        found = server.headers(1, [(b"x", b"y")])
        assert reset_code(found, 1) == ErrorCode.STREAM_CLOSED
        assert (response.trailers, response.error) == ((), None)

    def test_a_response_nobody_asked_for(self) -> None:
        server = RawServer()
        assert goaway_code(server.headers(1, OK)) == ErrorCode.PROTOCOL_ERROR

    def test_push(self) -> None:
        server = RawServer()
        server.open()
        promise = frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2\x88")
        assert goaway_code(server.send(promise)) == ErrorCode.PROTOCOL_ERROR


class TestRoom:
    def test_the_server_says_how_many_streams(self) -> None:
        server = RawServer(settings=[(Setting.MAX_CONCURRENT_STREAMS, 2)])
        server.open()
        assert server.core.available()
        server.open()
        assert not server.core.available()
        assert server.freed == 0
        server.headers(1, OK)
        assert server.core.available()
        assert server.freed == 1

    def test_we_have_a_limit_of_our_own(self) -> None:
        server = RawServer(
            replace(CLIENT_LIMITS, max_streams=1), [(Setting.MAX_CONCURRENT_STREAMS, 50)]
        )
        server.open()
        assert not server.core.available()

    def test_a_server_may_raise_its_limit(self) -> None:
        server = RawServer(settings=[(Setting.MAX_CONCURRENT_STREAMS, 0)])
        assert not server.core.available()
        server.send(frames.settings([(Setting.MAX_CONCURRENT_STREAMS, 1)]))
        assert server.core.available()
        assert server.freed == 1

    def test_numbers_run_out(self) -> None:
        server = RawServer()
        server.core._next = 2**31 - 3
        server.open()
        server.open()
        assert not server.core.available()
        server.turn()
        server.headers(2**31 - 3, OK)
        server.headers(2**31 - 1, OK)
        assert server.core.closed
