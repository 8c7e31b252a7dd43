"""A small web server whose answers a test makes up as it goes."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.peers.pipe import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Request:
    """What a client sent. The names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body, as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Response:
    """What it gets."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Response:
        """JSON data."""
        return cls(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Response:
        """To elsewhere."""
        return cls(b"", status, {"Location": location})


class HttpsServer:
    """Answers by path; remembers every request."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.requests: list[Request] = []
        self.routes: dict[str, Callable[[Request], Response]] = {}

    def answer(self, request: Request) -> Response:
        """By the route of the path, or 404."""
        self.requests.append(request)
        route = self.routes.get(request.path)
        return Response(status=404) if route is None else route(request)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(request.path == path for request in self.requests)


@contextmanager
def https_server(
    listening: socket.socket | None = None, name: str = "localhost"
) -> Iterator[HttpsServer]:
    """A server at `https://NAME:PORT`, with a certificate of `tests.http.certs.ca()`.

    It listens at a free port, unless it is given a socket for it, which it closes.
    """
    bound = listening or socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    server = HttpsServer(f"https://{name}" + ("" if port == 443 else f":{port}"))
    secured = context(name).wrap_socket(bound, server_side=True, do_handshake_on_connect=False)
    with _serving(secured, server):
        yield server


@contextmanager
def http_server(listening: socket.socket | None = None) -> Iterator[HttpsServer]:
    """The same without TLS, at the address that it listens at."""
    bound = listening or socket.create_server(("127.0.0.1", 0))
    host, port = bound.getsockname()
    server = HttpsServer(f"http://{host}:{port}")
    with _serving(bound, server):
        yield server


@contextmanager
def _serving(bound: socket.socket, server: HttpsServer) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length", "0"))
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            response = server.answer(request)
            try:
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)
            except OSError:  # the client has seen enough
                self.close_connection = True

        do_GET = do_POST = _serve  # noqa: N815 - names of the base class

        def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002 - inherited
            """Be silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: Any) -> None:
            """Clients that refuse the certificate are no errors here."""

    listener = Server(bound.getsockname(), Handler, bind_and_activate=False)
    listener.socket.close()
    listener.socket = bound
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), name="web server")
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
