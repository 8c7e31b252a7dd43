from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.http.message import FieldBlock
from tests.http.h1.wire import EMPTY, Request, Server

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


def answer_ok(stream: RequestStream) -> None:
    Request(stream).answer()


def test_a_streamed_answer() -> None:
    server = Server()
    server.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: te\r\nTE: trailers\r\n\r\n"))
    stream = server.requests[0].stream
    stream.send_head(200, FieldBlock([(b"x", b"y")]), b"ab")
    stream.send_data(b"cde")
    stream.send_end(((b"x-sum", b"1"),))
    assert server.wire.take() == (
        b"HTTP/1.1 200 OK\r\nx: y\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nab\r\n3\r\ncde\r\n0\r\nx-sum: 1\r\n\r\n"
    )
    assert not server.wire.ended


def test_trailers_are_for_those_who_ask() -> None:
    server = Server()
    server.send(GET)
    stream = server.requests[0].stream
    stream.send_head(200, EMPTY)
    stream.send_end(((b"x-sum", b"1"),))
    assert server.wire.take().endswith(b"\r\n\r\n0\r\n\r\n")


def test_http_1_0() -> None:
    server = Server()
    server.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    stream = server.requests[0].stream
    stream.send_informational(103, EMPTY)
    stream.send_head(200, EMPTY, b"ab")
    stream.send_data(b"c")
    stream.send_end(((b"x-sum", b"1"),))
    assert server.wire.take() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert server.wire.closing


def test_http_1_0_kept_alive() -> None:
    server = Server()
    server.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    server.requests[0].answer()
    assert b"Connection: keep-alive\r\n" in server.wire.take()
    assert not server.wire.ended


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    server = Server()
    server.send(GET)
    server.requests[0].stream.send_head(status, EMPTY, b"must not be sent", end=True)
    assert server.wire.take().endswith(b"\r\n\r\n")
    assert not server.wire.ended


def test_an_answer_to_head() -> None:
    server = Server()
    server.send(GET.replace(b"GET", b"HEAD"))
    stream = server.requests[0].stream
    stream.send_head(200, FieldBlock([(b"content-length", b"5")]))
    stream.send_data(b"hello")
    stream.send_end()
    assert server.wire.take() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert not server.wire.ended


def test_connection_close() -> None:
    server = Server(answer_ok)
    out = server.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    assert out.count(b"HTTP/1.1") == 1
    assert b"Connection: close\r\n" in out
    assert server.wire.closing


def test_continue() -> None:
    server = Server()
    server.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    server.requests[0].stream.send_informational(100, EMPTY)
    assert server.wire.take() == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_reset() -> None:
    server = Server()
    server.send(GET)
    stream = server.requests[0].stream
    stream.send_head(200, EMPTY, b"a")
    stream.reset()
    assert server.wire.aborted
    server.codec.connection_lost(None)
    assert server.requests[0].aborted is None


def test_an_upgrade() -> None:
    server = Server()
    server.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly"
    )
    (request,) = server.requests
    assert request.stream.head.upgrade == b"websocket"
    request.stream.send_head(
        101, FieldBlock([(b"connection", b"Upgrade"), (b"upgrade", b"websocket")])
    )
    request.stream.upgrade()
    assert request.body == b"early"
    server.codec.data_received(GET)
    assert request.body == b"early" + GET
    request.stream.send_data(b"\x00raw")
    assert server.wire.take() == (
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
        b"\x00raw"
    )
    assert server.codec.eof_received() is True
    assert request.trailers == ()
    request.stream.send_end()
    assert server.wire.closing
    server.codec.connection_lost(None)
    assert request.aborted is None


def test_a_stream_used_wrongly() -> None:
    server = Server()
    server.send(GET)
    stream = server.requests[0].stream
    with pytest.raises(RuntimeError):
        stream.send_data(b"x")
    with pytest.raises(RuntimeError):
        stream.send_end()
    with pytest.raises(RuntimeError):
        stream.upgrade()
    stream.send_head(200, EMPTY)
    with pytest.raises(RuntimeError):
        stream.send_head(200, EMPTY)


def test_an_answer_never_reaches_the_next_request() -> None:
    server = Server()
    server.send(GET)
    first = server.requests[0]
    first.answer(b"1")
    server.send(GET)
    server.wire.take()
    first.answer(b"again")
    first.stream.reset()
    assert server.wire.take() == b""
    assert not server.wire.ended
