"""Requests that two servers could read differently are refused, and no upstream sees them."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.e2e.documents import service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster

HOST = "open.octelium.localhost"
GOOD = f"GET /good HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

GET = b"GET / HTTP/1.1\r\nHost: %h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: %h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CASES = {
    "transfer-encoding and content-length": (
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two content-lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a list of content-lengths": POST + b"Content-Length: 1, 2\r\n\r\nab",
    "content-length with a sign": POST + b"Content-Length: +2\r\n\r\nab",
    "content-length in hex": POST + b"Content-Length: 0x2\r\n\r\nab",
    "content-length with underscore": POST + b"Content-Length: 1_0\r\n\r\nab",
    "unknown transfer coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two transfer-encodings": (
        POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunked in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "bad chunk size": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "chunk without CRLF": CHUNKED + b"1\r\nab0\r\n\r\n",
    "chunk with bare LF": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: %h\n\n",
    "bare LF in a header": GET + b"A: b\nC: d\r\n\r\n",
    "bare CR in a header": GET + b"A: b\rC: d\r\n\r\n",
    "NUL in a value": GET + b"A: b\0c\r\n\r\n",
    "NUL in a name": GET + b"A\0B: c\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: %h\r\n\r\n",
    "obsolete folding": GET + b"A: b\r\n c\r\n\r\n",
    "space before the colon": GET + b"Content-Length : 3\r\n\r\nabc",
    "a header without colon": GET + b"nonsense\r\n\r\n",
    "an empty header name": GET + b": x\r\n\r\n",
    "a leading blank in the first header": b"GET / HTTP/1.1\r\n Host: %h\r\n\r\n",
    "absolute form with another host": b"GET http://other.example/ HTTP/1.1\r\nHost: %h\r\n\r\n",
    "two hosts": GET + b"Host: other.example\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a host with user information": b"GET / HTTP/1.1\r\nHost: a@%h\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: %h\r\n\r\n",
    "a tab": b"GET\t/ HTTP/1.1\r\nHost: %h\r\n\r\n",
    "another version": b"GET / HTTP/1.2\r\nHost: %h\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "lower-case protocol": b"GET / http/1.1\r\nHost: %h\r\n\r\n",
    "a method that is no token": b"GE(T / HTTP/1.1\r\nHost: %h\r\n\r\n",
    "a relative target": b"GET good HTTP/1.1\r\nHost: %h\r\n\r\n",
}


class Recorder:
    """An upstream that keeps every byte it gets, and answers each head."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._connections: list[bytearray] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def received(self) -> bytes:
        """Everything so far, of all tests; what came of an earlier one may come late."""
        return b"".join(self._connections)

    def bodies(self, start: bytes) -> list[bytes]:
        """What has come after the heads of requests that begin so."""
        parts = [part for each in self._connections for part in bytes(each).split(start)[1:]]
        return [part.partition(b"\r\n\r\n")[2] for part in parts]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # it may be cut
            kept = bytearray()
            self._connections.append(kept)
            while data := connection.recv(65536):
                kept += data
                if kept.endswith(b"\r\n\r\n"):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture(scope="module")
def recorder(cluster: Cluster) -> Iterator[Recorder]:
    made = Recorder()
    spec = {"isAnonymous": True}
    document = service("open", f"http://127.0.0.1:{made.port}", **spec)
    del document["spec"]["authorization"]
    cluster.apply(document)
    yield made
    made.listener.close()


def exchange(cluster: Cluster, data: bytes) -> bytes:
    with cluster.connect(HOST) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_the_upstream_sees_good_requests(cluster: Cluster, recorder: Recorder) -> None:
    with cluster.connect(HOST) as connection:
        connection.sendall(GOOD)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert b"GET /good " in recorder.received


@pytest.mark.parametrize("case", CASES)
def test_an_ambiguous_request_is_refused_and_the_connection_closed(
    cluster: Cluster, recorder: Recorder, case: str
) -> None:
    marker = b"GET /smuggled HTTP/1.1\r\nHost: %h\r\n\r\n"
    answer = exchange(cluster, (CASES[case] + marker).replace(b"%h", HOST.encode()))
    wanted = b"HTTP/1.1 505 " if case == "another version" else b"HTTP/1.1 400 "
    assert answer.startswith(wanted), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in recorder.received


@pytest.mark.parametrize("target", ["/a/..\\b", "/%zz", "/a%2f..%2fb", "/a/%2e%2e%5cb"])
def test_a_target_that_can_be_read_in_two_ways_is_refused(
    cluster: Cluster, recorder: Recorder, target: str
) -> None:
    marker = f"Marker: of {target}\r\n"
    with cluster.connect(HOST) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{marker}\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert f"of {target}".encode() not in recorder.received


def test_a_refused_body_does_not_reach_the_upstream_whole(
    cluster: Cluster, recorder: Recorder
) -> None:
    """A body that turns out bad half-way: the upstream's request is cut, never completed."""
    head = f"POST /half HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    exchange(cluster, head + b"3\r\nabc\r\nzz\r\n")
    for body in recorder.bodies(b"POST /half "):
        assert b"0\r\n\r\n" not in body
        assert b"zz" not in body
