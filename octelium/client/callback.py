"""The ear of a command line: where a browser brings the answer of a login.

A port of the loopback interface and a path that nobody can guess (RFC 8252 section 7.3).
"""

from __future__ import annotations

import binascii
import errno
import http.server
import queue
import secrets
import socket
import string
import threading
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs

from google.protobuf.message import DecodeError

from octelium.client.errors import SettingsError
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from types import TracebackType

_LOWEST_PORT: Final = 10_000
_TRIES: Final = 20
_SUFFIX: Final = 8
_CHARACTERS: Final = string.ascii_letters + string.digits
_LONGEST: Final = 4096
_READ_SECONDS: Final = 10.0
_WRITE_SECONDS: Final = 5.0
_EXCHANGE_SECONDS: Final = 90.0
_NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


@dataclass
class Answer:
    """What the browser brought; it waits until it is told where to go."""

    token: str = field(repr=False)
    _next: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _sent: threading.Event = field(default_factory=threading.Event)

    def succeeded(self, url: str) -> None:
        """Send the browser on to `url`."""
        self._next.put(url)
        self._sent.wait(_WRITE_SECONDS)

    def failed(self) -> None:
        """Let the browser say that the command line knows more."""
        self._next.put(None)
        self._sent.wait(_WRITE_SECONDS)

    def outcome(self) -> str | None:
        """Where to go, or None: waits until that is known."""
        try:
            return self._next.get(timeout=_EXCHANGE_SECONDS)
        except queue.Empty:
            return None

    def was_told(self) -> None:
        """The browser has its answer."""
        self._sent.set()


class Callback:
    """Listens on 127.0.0.1 and, where there is IPv6, on the same port of ::1.

    Only an answer with `code_challenge` in it is one to this login; the first of them counts.
    """

    def __init__(self, code_challenge: bytes) -> None:
        """Begin to listen. Raises SettingsError when no port is free."""
        self.suffix = "".join(secrets.choice(_CHARACTERS) for _ in range(_SUFFIX))
        self.path = f"/callback/success/{self.suffix}"
        self._challenge = code_challenge
        self._first = threading.Semaphore(1)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._servers = _listen(self)
        self.port: int = self._servers[0].server_address[1]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            for server in self._servers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def wait(self, seconds: float) -> Answer | None:
        """The answer, or None if there is none in time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def is_addressed(self, host: str) -> bool:
        """Whether a Host header is of this listener: other names may be rebound to loopback."""
        return host in {f"{name}:{self.port}" for name in ("localhost", "127.0.0.1", "[::1]")}

    def take(self, query: str) -> Answer | None:
        """Take the answer in a query; None if it is none to this login, or not the first."""
        token = _token_in(query, self._challenge)
        if token is None or not self._first.acquire(blocking=False):
            return None
        answer = Answer(token)
        self._answers.put(answer)
        return answer


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, address: tuple[str, int], callback: Callback) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.callback = callback
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without looking up names, which the base class does."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, *_arguments: Any) -> None:
        """A browser that hangs up is no error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _READ_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Take the answer, and let the browser go on when its use is known."""
        callback = self.server.callback
        path, _, query = self.path.partition("?")
        if path != callback.path or not callback.is_addressed(self.headers.get("Host", "")):
            self._say(404, "There is nothing here.")
            return
        answer = callback.take(query)
        if answer is None:
            self._say(400, "This is no answer to the login that waits here.")
            return
        try:
            url = answer.outcome()
            if url is None:
                self._say(502, "Signing in has failed. The command line tells why.")
            else:
                self._say(302, "You are signed in.", url)
        finally:
            answer.was_told()

    def _refuse(self) -> None:
        self._say(405, "Only GET is served here.")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse  # noqa: N815

    def _say(self, status: int, text: str, location: str = "") -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        if location:
            self.send_header("Location", location)
        if status == 405:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Nothing of the program's versions."""
        return "octelium"

    def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002  (inherited)
        """Be silent: the path holds a token."""


def _listen(callback: Callback) -> list[_Server]:
    for _ in range(_TRIES):
        try:
            first = _Server(("127.0.0.1", 0), callback)
        except OSError as error:
            raise SettingsError(f"cannot listen on 127.0.0.1: {error.strerror}") from error
        port = first.server_address[1]
        if port >= _LOWEST_PORT:
            try:
                return [first, _Server(("::1", port), callback)]
            except OSError as error:
                if error.errno in _NO_IPV6:
                    return [first]
        first.server_close()
    raise SettingsError(
        "no port is free on both 127.0.0.1 and ::1", "log in with a code instead: --device"
    )


def _token_in(query: str, code_challenge: bytes) -> str | None:
    if len(query) > _LONGEST:
        return None
    try:
        fields = parse_qs(query, max_num_fields=8, strict_parsing=True)
        (text,) = fields["octelium_response"]
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        response = auth.ClientLoginResponse.FromString(raw)
    except (ValueError, KeyError, binascii.Error, DecodeError):
        return None
    if not response.authentication_token or response.code_challenge != code_challenge:
        return None
    return response.authentication_token
