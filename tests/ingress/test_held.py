from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.ingress.held import Held
from tests.http.h1.wire import Request, Server

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream


def hold(data: bytes) -> tuple[Server, Held, RequestStream]:
    kept: list[tuple[Held, RequestStream]] = []

    def handle(stream: RequestStream) -> None:
        held = Held(stream)
        stream.receiver = held
        kept.append((held, stream))

    server = Server(handle)
    server.send(data)
    return server, *kept[0]


POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"


def test_everything_is_passed_on() -> None:
    server, held, stream = hold(POST + b"he")
    assert not server.wire.is_reading()
    server.codec.data_received(b"llo")
    server.codec.pause_writing()
    server.codec.data_received(b"world")
    request = Request(stream)
    held.release()
    assert request.body == b"helloworld"
    assert request.trailers == ()
    assert request.is_paused()


def test_reading_goes_on() -> None:
    server, held, stream = hold(POST)
    request = Request(stream)
    held.release()
    assert server.wire.is_reading()
    server.codec.data_received(b"0123456789")
    assert request.body == b"0123456789"


def test_a_complete_request_is_not_paused() -> None:
    server, held, _ = hold(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert server.wire.is_reading()
    server.codec.connection_lost(None)
    assert held.aborted
    held.release()


def test_a_buffer_that_was_full_for_a_while() -> None:
    server, held, stream = hold(POST)
    server.codec.pause_writing()
    server.codec.resume_writing()
    request = Request(stream)
    held.release()
    assert not request.is_paused()
