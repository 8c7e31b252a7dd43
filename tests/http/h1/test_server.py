from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h1.server import ServerLimits
from tests.http.h1.wire import EMPTY, Request, Server

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer_ok(stream: RequestStream) -> None:
    Request(stream).answer()


def test_a_request_and_its_answer_in_one_write() -> None:
    server = Server()
    assert server.send(GET) == b""
    (request,) = server.requests
    assert request.stream.complete
    request.answer(b"hello")
    assert server.wire.take() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert not server.wire.ended


@pytest.mark.parametrize("size", [1, 2, 7, 20])
def test_a_head_in_pieces(size: int) -> None:
    server = Server()
    for start in range(0, len(POST) + 5, size):
        assert server.send((POST + b"hello")[start : start + size]) == b""
    (request,) = server.requests
    assert request.body == b"hello"
    assert request.trailers == ()


def test_requests_on_one_connection() -> None:
    server = Server(answer_ok)
    one = server.send(GET)
    assert server.send(GET) == one
    assert server.send(GET * 3) == one * 3
    assert not server.wire.ended


def test_pipelined_requests_are_served_in_order() -> None:
    server = Server()
    server.send(GET.replace(b"/x", b"/1") + POST.replace(b"/x", b"/2") + b"hel")
    assert [r.stream.head.target for r in server.requests] == [b"/1"]
    server.requests[0].answer(b"1")
    assert [r.stream.head.target for r in server.requests] == [b"/1", b"/2"]
    server.codec.data_received(b"lo" + GET.replace(b"/x", b"/3"))
    assert server.requests[1].body == b"hello"
    assert len(server.requests) == 2
    server.requests[1].answer(b"2")
    server.requests[2].answer(b"3")
    assert re.findall(rb"\r\n\r\n(.)", server.wire.take()) == [b"1", b"2", b"3"]


def test_too_much_pipelined_is_not_read() -> None:
    server = Server(limits=ServerLimits(pipelined=1000))
    server.send(GET * 2)
    server.send(GET * 100)
    assert not server.wire.is_reading()
    server.requests[0].answer()
    assert server.wire.is_reading()


def test_a_stray_line_end_before_a_request() -> None:
    server = Server(answer_ok)
    assert server.send(POST + b"hello\r\n").startswith(b"HTTP/1.1 200")
    assert server.send(GET).startswith(b"HTTP/1.1 200")
    assert server.send(b"\r\n" + GET).startswith(b"HTTP/1.1 200")


def test_a_body_with_trailers() -> None:
    server = Server()
    server.send(CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n" + GET)
    (request,) = server.requests
    assert request.body == b"hello"
    assert request.trailers == ((b"x-sum", b"1"),)
    request.answer()
    assert len(server.requests) == 2


def test_an_answer_before_the_body_has_come() -> None:
    server = Server(answer_ok)
    out = server.send(POST + b"he")
    assert b"Connection: close\r\n" in out
    assert server.wire.half_closed
    assert not server.wire.closing
    server.send(b"llo" + GET)
    assert server.wire.take() == b""
    server.pass_time(3)
    assert server.wire.aborted


def test_a_client_that_keeps_sending_to_a_closed_connection() -> None:
    server = Server(answer_ok, limits=ServerLimits(linger=100))
    server.send(POST + b"he")
    server.send(b"x" * 200)
    assert server.wire.aborted


BAD = [
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
    CHUNKED + b"zz\r\n",
    CHUNKED + b"5\nhello",
    b"\x00",
    b"\n",
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_not_safely_http(data: bytes) -> None:
    server = Server()
    out = server.send(data + GET)
    assert out.startswith(b"HTTP/1.1 400 Bad Request\r\nserver: octelium\r\n")
    assert out.count(b"HTTP/1.1") == 1
    assert b"Connection: close\r\n" in out
    assert server.wire.half_closed
    assert server.requests == []


@pytest.mark.parametrize("data", BAD)
def test_the_same_byte_by_byte(data: bytes) -> None:
    server = Server()
    out = b"".join(server.send(bytes([byte])) for byte in data)
    out += server.send(b"\r\n\r\n")
    assert b" 400 " in out
    assert server.wire.half_closed
    if data.startswith(CHUNKED):
        assert server.requests[0].aborted
        assert server.requests[0].trailers is None
    else:
        assert server.requests == []


def test_a_bad_chunk_after_the_head_was_sent() -> None:
    server = Server()
    server.send(CHUNKED)
    server.requests[0].stream.send_head(200, EMPTY, b"a")
    server.send(b"zz\r\n")
    assert server.requests[0].aborted
    assert server.wire.aborted


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 40_000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_heads_that_are_too_large_or_of_another_version(data: bytes, status: int) -> None:
    server = Server()
    assert server.send(data).startswith(b"HTTP/1.1 %d " % status)
    assert server.wire.half_closed


def test_a_head_that_does_not_come_to_its_end() -> None:
    server = Server()
    server.send(b"GET / HT")
    server.pass_time(9)
    assert not server.wire.ended
    server.pass_time(11)
    assert server.wire.take().startswith(b"HTTP/1.1 408 ")
    assert server.wire.ended


def test_slow_bytes_do_not_buy_time() -> None:
    server = Server(answer_ok)
    server.send(GET)
    for _ in range(20):
        server.send(b"G" if not server.wire.ended else b"")
        server.ticker.now += 1
        server.codec.tick(server.ticker.now)
    assert server.wire.ended


def test_an_idle_connection() -> None:
    server = Server(answer_ok)
    server.pass_time(11)
    assert server.wire.closing
    server = Server(answer_ok)
    server.send(GET)
    server.pass_time(100)
    assert not server.wire.ended
    server.pass_time(121)
    assert server.wire.closing


def test_a_client_that_does_not_take_the_last_answer() -> None:
    server = Server(answer_ok)
    server.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert server.wire.closing
    assert not server.wire.aborted
    server.pass_time(121)
    assert server.wire.was_aborted()


def test_a_request_without_any_progress() -> None:
    server = Server()
    server.send(GET)
    server.pass_time(3599)
    assert not server.wire.ended
    server.pass_time(3601)
    assert server.wire.aborted


def test_the_client_goes_away() -> None:
    server = Server()
    server.send(POST + b"he")
    assert server.codec.eof_received() is False
    server.codec.connection_lost(None)
    (request,) = server.requests
    assert request.aborted
    request.answer()
    request.stream.send_data(b"x")
    request.stream.send_end()
    request.stream.reset()
    assert server.wire.take() == b""


def test_back_pressure_in_both_directions() -> None:
    server = Server()
    server.send(POST)
    (request,) = server.requests
    server.codec.pause_writing()
    assert request.is_paused()
    server.codec.resume_writing()
    assert not request.is_paused()
    request.stream.pause_receiving()
    assert not server.wire.is_reading()
    request.stream.resume_receiving()
    assert server.wire.is_reading()


def test_reading_goes_on_after_a_paused_request() -> None:
    server = Server()
    server.send(POST)
    server.requests[0].stream.pause_receiving()
    server.codec.data_received(b"hello")
    server.requests[0].answer()
    assert server.wire.is_reading()


def test_a_buffer_that_the_handler_fills_before_it_listens() -> None:
    requests: list[Request] = []

    def handler(stream: RequestStream) -> None:
        stream.send_head(200, EMPTY)
        server.codec.pause_writing()
        requests.append(Request(stream))

    server = Server(handler)
    server.send(GET)
    assert requests[0].is_paused()


def test_while_answers_are_not_taken_requests_wait() -> None:
    server = Server(answer_ok)
    server.codec.pause_writing()
    assert server.send(GET * 3) == b""
    assert not server.wire.is_reading()
    server.codec.resume_writing()
    assert server.wire.take().count(b"HTTP/1.1 200") == 3
    assert server.wire.is_reading()
    assert server.send(GET).count(b"HTTP/1.1 200") == 1


def test_a_buffer_that_fills_between_pipelined_requests() -> None:
    def handler(stream: RequestStream) -> None:
        server.codec.pause_writing()
        Request(stream).answer()

    server = Server(handler)
    assert server.send(GET * 3 + GET[:9]).count(b"HTTP/1.1 200") == 1
    assert not server.wire.is_reading()
    for _ in range(2):
        server.codec.resume_writing()
        assert server.wire.take().count(b"HTTP/1.1 200") == 1
        assert not server.wire.is_reading()
    server.codec.resume_writing()
    assert server.wire.is_reading()
    assert server.send(GET[9:]).count(b"HTTP/1.1 200") == 1


def test_an_answer_that_ends_while_the_client_takes_nothing() -> None:
    server = Server()
    server.send(GET * 2)
    server.codec.pause_writing()
    server.requests[0].answer()
    assert len(server.requests) == 1
    assert not server.wire.is_reading()
    server.codec.resume_writing()
    assert len(server.requests) == 2


@pytest.mark.parametrize("running", [False, True])
def test_a_client_that_takes_nothing_is_cut(running: bool) -> None:
    server = Server()
    server.send(GET)
    if not running:
        server.requests[0].answer()
    server.codec.pause_writing()
    server.wire.pending = 1000
    server.pass_time(0)
    server.wire.pending = 900
    server.pass_time(50)
    server.pass_time(109)
    assert not server.wire.was_aborted()
    server.pass_time(110)
    assert server.wire.was_aborted()


def test_a_client_that_does_not_take_the_end_is_cut() -> None:
    server = Server(answer_ok)
    server.wire.pending = 100
    server.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    server.pass_time(0)
    server.pass_time(59)
    assert not server.wire.was_aborted()
    server.pass_time(60)
    assert server.wire.was_aborted()


def test_a_body_that_does_not_come_in_its_time() -> None:
    server = Server()
    server.send(POST + b"he")
    server.requests[0].stream.deadline(30)
    server.send(b"l")
    server.pass_time(29)
    assert server.wire.take() == b""
    server.pass_time(30)
    assert server.wire.take().startswith(b"HTTP/1.1 408 ")
    assert server.wire.ended
    assert server.requests[0].aborted


def test_a_body_that_does_not_come_though_the_answer_began() -> None:
    server = Server()
    server.send(POST + b"he")
    server.requests[0].stream.send_head(200, EMPTY)
    server.requests[0].stream.deadline(30)
    server.pass_time(30)
    assert server.requests[0].aborted
    assert server.wire.was_aborted()


@pytest.mark.parametrize("way", ["lifted", "complete", "bodiless", "next"])
def test_a_deadline_that_does_not_matter(way: str) -> None:
    server = Server()
    server.send(GET if way == "bodiless" else POST + b"he")
    server.requests[0].stream.deadline(30)
    if way == "lifted":
        server.requests[0].stream.deadline(math.inf)
    elif way == "complete":
        server.send(b"llo")
    elif way == "next":
        server.send(b"llo")
        server.requests[0].answer()
        server.send(POST)
    server.pass_time(31)
    assert not server.wire.ended
    assert server.requests[-1].aborted is None


def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def fail(stream: RequestStream) -> None:
        raise ValueError("a bug")

    server = Server(fail)
    out = server.send(GET)
    assert out.startswith(b"HTTP/1.1 500 ")
    assert server.wire.closing
    assert "a bug" in caplog.text


def test_a_handler_that_leaves_a_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(lambda _stream: None)
    assert server.send(GET).startswith(b"HTTP/1.1 500 ")
    assert "without a receiver" in caplog.text


def test_draining() -> None:
    server = Server()
    server.send(GET)
    server.codec.drain()
    assert not server.wire.ended
    server.requests[0].answer()
    assert b"Connection: close\r\n" in server.wire.take()
    assert server.wire.closing
    idle = Server()
    idle.codec.drain()
    assert idle.wire.closing


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_are_survived(data: bytes, size: int) -> None:
    server = Server(answer_ok)
    out = b"".join(server.send(data[at : at + size]) for at in range(0, len(data), size))
    assert not out or out.startswith(b"HTTP/1.1 ")


@given(
    st.lists(st.sampled_from([GET, POST + b"hello", CHUNKED + b"1\r\na\r\n0\r\n\r\n"])), st.data()
)
def test_how_requests_are_cut_does_not_matter(requests: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    server = Server()
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        server.send(whole[start:end])
        while server.requests and server.requests[-1].trailers == ():
            count = len(server.requests)
            if server.requests[-1].stream.connection is None:  # type: ignore[attr-defined]
                break
            server.requests[-1].answer()
            if len(server.requests) == count:
                break
    bodies = [request.body for request in server.requests]
    expected = {GET: b"", POST + b"hello": b"hello", CHUNKED + b"1\r\na\r\n0\r\n\r\n": b"a"}
    assert bodies == [expected[request] for request in requests]
