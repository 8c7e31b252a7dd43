from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.exchange import Failure
from octelium.http.h1.client import MAX_HEAD
from octelium.http.message import FieldBlock
from tests.http.h1.wire import Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_request_and_its_response() -> None:
    upstream = Upstream()
    response = upstream.request(block=FieldBlock([(b"x-key", b"secret")]))
    assert upstream.wire.take() == b"GET /x HTTP/1.1\r\nHost: upstream\r\nx-key: secret\r\n\r\n"
    assert not upstream.codec.available()
    upstream.send(OK)
    assert response.head is not None
    assert (response.head.status, response.body) == (200, b"hello")
    assert response.is_complete()
    assert upstream.released == [upstream.codec]
    assert upstream.codec.available()


@pytest.mark.parametrize("size", [1, 2, 5, 17])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (OK, b"hello"),
        (CHUNKED + b"2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_a_response_in_pieces(data: bytes, body: bytes, size: int) -> None:
    upstream = Upstream()
    response = upstream.request()
    for start in range(0, len(data), size):
        upstream.send(data[start : start + size])
    assert response.is_complete()
    assert response.body == body
    assert upstream.released == [upstream.codec]


def test_a_request_body() -> None:
    upstream = Upstream()
    block = FieldBlock([(b"content-length", b"5")])
    upstream.request(b"POST", block=block, data=b"he", has_body=True, end=False)
    upstream.stream.send_data(b"llo")
    upstream.stream.send_end()
    assert upstream.wire.take().endswith(b"content-length: 5\r\n\r\nhello")


def test_a_request_body_in_chunks() -> None:
    upstream = Upstream()
    upstream.request(b"POST", data=b"he", has_body=True, end=False)
    upstream.stream.send_data(b"llo")
    upstream.stream.send_end(((b"x-sum", b"1"),))
    assert upstream.wire.take().endswith(
        b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx-sum: 1\r\n\r\n"
    )


def test_a_short_body_of_unknown_length_gets_one() -> None:
    upstream = Upstream()
    upstream.request(b"POST", data=b"hello", has_body=True, end=True)
    assert upstream.wire.take().endswith(b"\r\nContent-Length: 5\r\n\r\nhello")


def test_an_answer_to_head() -> None:
    upstream = Upstream()
    response = upstream.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HEAD")
    assert response.is_complete()
    assert response.head is not None
    assert response.head.content_length == 5
    assert upstream.codec.available()


def test_until_the_end_of_the_connection() -> None:
    upstream = Upstream()
    response = upstream.exchange(b"HTTP/1.1 200 OK\r\n\r\nhel")
    upstream.send(b"lo")
    assert not response.is_complete()
    assert upstream.codec.eof_received() is False
    assert response.is_complete()
    assert response.body == b"hello"
    assert upstream.released == []
    upstream.codec.connection_lost(None)
    assert response.error is None
    assert upstream.lost == [upstream.codec]


def test_a_reset_is_no_end() -> None:
    upstream = Upstream()
    response = upstream.exchange(b"HTTP/1.1 200 OK\r\n\r\nhel")
    upstream.codec.connection_lost(ConnectionResetError("reset"))
    assert response.error is not None
    assert response.error.failure is Failure.CLOSED


def test_trailers() -> None:
    upstream = Upstream()
    response = upstream.exchange(CHUNKED + b"1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n")
    assert response.trailers == ((b"grpc-status", b"0"),)
    assert upstream.codec.available()


def test_informational_heads() -> None:
    upstream = Upstream()
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    response = upstream.exchange(b"HTTP/1.1 100 Continue\r\n\r\n" + early + OK)
    assert [head.status for head in response.informational] == [100, 103]
    assert response.body == b"hello"


def test_too_many_informational_heads() -> None:
    upstream = Upstream()
    response = upstream.exchange(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40)
    assert response.error is not None
    assert response.error.failure is Failure.PROTOCOL


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_HEAD,
    ],
)
def test_what_is_not_safely_http(data: bytes) -> None:
    upstream = Upstream()
    response = upstream.exchange(data)
    assert response.error is not None
    assert response.error.failure is Failure.PROTOCOL
    assert not response.is_complete()
    assert not response.error.stale
    assert not upstream.codec.available()
    assert upstream.wire.aborted


@pytest.mark.parametrize(
    "data",
    [
        OK + b"extra",
        OK.replace(b"200 OK", b"200 OK\r\nConnection: close"),
        OK.replace(b"1.1", b"1.0"),
        OK.replace(b"200 OK", b"401 x\r\nWWW-Authenticate: NTLM"),
        b"HTTP/1.1 204 No Content\r\n\r\nbody",
        CHUNKED + b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_connections_that_are_not_used_again(data: bytes) -> None:
    upstream = Upstream()
    response = upstream.exchange(data)
    assert response.is_complete()
    assert upstream.released == []
    assert upstream.wire.closing


@pytest.mark.parametrize("value", [b"Negotiate YII=", b"NTLM TlRM", b"nEGOTIATE x"])
def test_a_connection_that_somebody_logged_in(value: bytes) -> None:
    upstream = Upstream()
    upstream.exchange(OK)
    assert upstream.released == [upstream.codec]
    response = upstream.request(block=FieldBlock([(b"authorization", value)]))
    upstream.send(OK)
    assert response.is_complete()
    assert upstream.released == [upstream.codec]
    assert upstream.wire.closing
    assert not upstream.codec.available()


def test_a_login_of_the_request_alone() -> None:
    upstream = Upstream()
    block = FieldBlock([(b"authorization", b"Bearer Negotiate")])
    for count in (1, 2):
        upstream.request(block=block)
        upstream.send(OK)
        assert len(upstream.released) == count


def test_a_response_before_the_request_was_sent() -> None:
    upstream = Upstream()
    response = upstream.request(b"POST", data=b"a", has_body=True, end=False)
    upstream.send(OK)
    assert response.is_complete()
    upstream.wire.take()
    upstream.stream.send_data(b"more")
    upstream.stream.send_end()
    assert upstream.wire.take() == b""
    assert upstream.released == []
    assert upstream.wire.closing


def test_bytes_that_nobody_asked_for() -> None:
    upstream = Upstream()
    upstream.exchange(OK)
    upstream.send(OK)
    assert upstream.wire.closing
    assert not upstream.codec.available()


def test_an_idle_connection_that_the_upstream_closed() -> None:
    upstream = Upstream()
    upstream.exchange(OK)
    response = upstream.request()
    upstream.codec.connection_lost(None)
    assert response.error is not None
    assert response.error.stale
    assert response.error.failure is Failure.CLOSED


def test_what_is_not_stale() -> None:
    first = Upstream()
    response = first.request()
    first.codec.connection_lost(None)
    assert response.error is not None
    assert not response.error.stale
    second = Upstream()
    second.exchange(OK)
    response = second.exchange(b"HTTP/1.1 ")
    second.codec.connection_lost(None)
    assert response.error is not None
    assert not response.error.stale


def test_an_upgrade() -> None:
    upstream = Upstream()
    response = upstream.request(upgrade=b"websocket")
    assert upstream.wire.take().endswith(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    upstream.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nraw"
    )
    assert response.head is not None
    assert response.head.status == 101
    assert response.body == b"raw"
    upstream.send(OK)
    assert response.body == b"raw" + OK
    upstream.stream.send_data(b"\x01")
    upstream.stream.send_end()
    assert upstream.wire.take() == b"\x01"
    assert upstream.wire.half_closed
    upstream.codec.eof_received()
    assert response.is_complete()
    assert upstream.released == []


def test_an_upgrade_that_the_upstream_declines() -> None:
    upstream = Upstream()
    response = upstream.request(upgrade=b"websocket")
    upstream.send(OK)
    assert response.is_complete()
    assert response.body == b"hello"


def test_giving_up() -> None:
    upstream = Upstream()
    response = upstream.request()
    upstream.stream.reset()
    assert upstream.wire.aborted
    upstream.codec.connection_lost(None)
    assert response.error is None
    assert upstream.released == []


def test_back_pressure_in_both_directions() -> None:
    upstream = Upstream()
    response = upstream.request(b"POST", has_body=True, end=False)
    upstream.codec.pause_writing()
    assert response.is_paused()
    upstream.codec.resume_writing()
    assert not response.is_paused()
    upstream.stream.pause_receiving()
    assert not upstream.wire.is_reading()
    upstream.stream.send_end()
    upstream.send(OK)
    assert upstream.wire.is_reading()


def test_closing() -> None:
    upstream = Upstream()
    upstream.codec.close()
    assert upstream.wire.closing
    assert not upstream.codec.available()


@given(st.binary(max_size=300), st.integers(1, 60))
def test_any_bytes_are_survived(data: bytes, size: int) -> None:
    upstream = Upstream()
    response = upstream.request()
    for start in range(0, len(data), size):
        upstream.send(data[start : start + size])
    upstream.codec.eof_received()
    upstream.codec.connection_lost(None)
    assert response.is_complete() != (response.error is not None)


@given(
    st.sampled_from([OK, CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"]),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_how_bytes_are_cut_does_not_matter(data: bytes, cuts: list[int]) -> None:
    upstream = Upstream()
    response = upstream.request()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        if data[start:end]:
            upstream.send(data[start:end])
    assert response.body == b"hello"
    assert upstream.released == [upstream.codec]
