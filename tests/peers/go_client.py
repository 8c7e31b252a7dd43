"""The calls of the official Go client as they are on the wire, HTTP/2 frame by frame: for a process
of its own, `python -m tests.peers.go_client`, so that it can be in a network namespace.

Messages are bytes, written by hand after the official protobuf definitions. Headers, pings and the
way to end a stream are those of grpc-go (gRPC over HTTP/2, the protocol's page in grpc/grpc). What
comes of each call is printed in JSON.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    TrailersReceived,
)

AGENT = "octelium-cli/0.24.0 grpc-go/1.82.0"
_SECONDS = 60
_STATE, _DISCONNECT = 10, 6


def text(number: int, value: str | bytes) -> bytes:
    """A field of a message."""
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number as it stands in messages."""
    made = b""
    while value > 127:
        made += bytes([value & 127 | 128])
        value >>= 7
    return made + bytes([value])


def fields(data: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a message by number; others are passed over."""
    found: dict[int, list[bytes]] = {}
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        tag = number()
        kind = tag & 7
        if kind == 0:
            number()
            continue
        size = number() if kind == 2 else {1: 8, 5: 4}[kind]
        found.setdefault(tag >> 3, []).append(data[place : place + size])
        place += size
    return found


class Call:
    """One stream of a connection."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self.number = number
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.ended = False
        self._data = b""

    def take(self, event: Any) -> None:
        if isinstance(event, ResponseReceived):
            self.headers = {k.decode(): v.decode() for k, v in event.headers}
        elif isinstance(event, TrailersReceived):
            self.trailers = {k.decode(): v.decode() for k, v in event.headers}
        elif isinstance(event, DataReceived):
            self._data += event.data
        elif isinstance(event, StreamEnded):
            self.ended = True

    def message(self) -> bytes | None:
        """The next message, None at the end."""
        while True:
            if len(self._data) >= 5:
                size = int.from_bytes(self._data[1:5], "big")
                if len(self._data) >= 5 + size:
                    assert self._data[0] == 0, "compressed without having been asked for"
                    found, self._data = self._data[5 : 5 + size], self._data[5 + size :]
                    return found
            if self.ended:
                return None
            self._connection.turn()

    def send(self, message: bytes, *, end: bool = False) -> None:
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        self._connection.state.send_data(self.number, framed, end_stream=end)
        self._connection.flush()

    def cancel(self) -> None:
        self._connection.state.reset_stream(self.number, ErrorCodes.CANCEL)
        self._connection.flush()

    def status(self) -> int:
        """The gRPC status, once it has ended."""
        while not self.ended:
            self._connection.turn()
        known = self.trailers or self.headers
        return int(known["grpc-status"])


class Connection:
    """A connection as grpc-go makes one: TLS that insists on ALPN `h2`."""

    def __init__(self, told: dict[str, Any]) -> None:
        context = ssl.create_default_context(cafile=told["authority"])
        context.set_alpn_protocols(["h2"])
        self.host = f"octelium-api.{told['domain']}"
        raw = socket.create_connection(("127.0.0.1", told["port"]), _SECONDS)
        self._socket = context.wrap_socket(raw, server_hostname=self.host)
        assert self._socket.selected_alpn_protocol() == "h2"
        self.state = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.state.initiate_connection()
        self._calls: dict[int, Call] = {}
        self.pongs = 0
        self.flush()

    def flush(self) -> None:
        self._socket.sendall(self.state.data_to_send())

    def turn(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server hung up")
        for event in self.state.receive_data(data):
            if isinstance(event, PingAckReceived):
                self.pongs += 1
            if isinstance(event, DataReceived):
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            call = self._calls.get(getattr(event, "stream_id", 0) or 0)
            if call is not None:
                call.take(event)
        self.flush()

    def open(self, api: str, method: str, *metadata: tuple[str, str]) -> Call:
        number = self.state.get_next_available_stream_id()
        call = self._calls[number] = Call(self, number)
        path = f"/octelium.api.main.{api}.v1.MainService/{method}"
        head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", path),
            (":authority", f"{self.host}:443"),
            ("content-type", "application/grpc"),
            ("user-agent", AGENT),
            ("te", "trailers"),
            *metadata,
        ]
        self.state.send_headers(number, head)
        self.flush()
        return call

    def unary(self, api: str, method: str, body: bytes, *metadata: tuple[str, str]) -> Any:
        """(status, message or None) of a call."""
        call = self.open(api, method, *metadata)
        call.send(body, end=True)
        message = call.message()
        assert call.headers["content-type"] == "application/grpc"
        return call.status(), message

    def ping(self) -> None:
        """As its keepalive does."""
        before = self.pongs
        self.state.ping(b"\2\4\x10\x10\x09\x0e\7\7")
        self.flush()
        while self.pongs == before:
            self.turn()

    def close(self) -> None:
        self._socket.close()


def _initialize(service: str) -> bytes:
    """`octelium connect -p SERVICE:8080` on a host with IPv6."""
    published = text(1, service) + b"\x10\x90\x3f" + text(3, "localhost")
    return text(1, b"\x08\x02" + text(4, published) + b"\x38\x86\xac\x01\x48\xb8\x08")


def _connect(connection: Connection, access: tuple[str, str], service: str) -> Any:
    """The stream, and its first state."""
    stream = connection.open("user", "Connect", access)
    stream.send(_initialize(service))
    message = stream.message()
    assert message is not None
    return stream, fields(fields(message)[_STATE][0])


def _addresses(state: dict[int, list[bytes]]) -> list[str]:
    (one,) = map(fields, state[4])
    return [one[1][0].decode(), one[2][0].decode()]


def _name_and_port(service: bytes) -> list[str | int]:
    """What it asks a Service for: the port is where it dials, as long as it runs."""
    (metadata,), (spec,) = (fields(service)[number] for number in (3, 4))
    assert spec[0] == 1 << 3, "the first field of the spec is no port"
    return [fields(metadata)[2][0].decode(), spec[1]]


def main(told: dict[str, Any]) -> dict[str, Any]:
    """Log in, look around, connect, lose the connection, connect again, disconnect, log out."""
    found: dict[str, Any] = {}
    service = told["service"]
    auth = Connection(told)
    token = text(1, told["token"])
    status, message = auth.unary("auth", "AuthenticateWithAuthenticationToken", token)
    assert status == 0
    session = fields(message)
    access = ("x-octelium-auth", session[1][0].decode())
    refresh = ("x-octelium-refresh-token", session[2][0].decode())
    api = Connection(told)
    status, message = api.unary("user", "GetStatus", b"", access)
    found["status"] = [status, len(fields(message))]
    # Before each command, where a refresh is due.
    found["authenticator"] = auth.unary("auth", "GetAvailableAuthenticator", b"", refresh)[0]
    status, message = auth.unary("auth", "AuthenticateWithRefreshToken", b"", refresh)
    found["refresh"] = status
    if status == 0:
        session = fields(message)
        access = ("x-octelium-auth", session[1][0].decode())
        refresh = ("x-octelium-refresh-token", session[2][0].decode())
    api.close()
    status, message = Connection(told).unary("user", "ListService", text(1, b""), access)
    found["listed"] = [fields(fields(item)[3][0])[2][0].decode() for item in fields(message)[3]]
    api = Connection(told)
    status, message = api.unary("user", "GetService", text(2, service), access)
    found["service"] = [status, _name_and_port(message)]
    short = text(2, service.removesuffix(".default"))  # as people type it
    status, message = api.unary("user", "GetService", short, access)
    found["short"] = [status, _name_and_port(message)]
    found["missing"] = api.unary("user", "GetService", text(2, "nothing.default"), access)[0]
    stream, state = _connect(api, access, service)
    found["addresses"] = _addresses(state)
    found["gateways"] = len(state[5])
    found["name servers"] = [each.decode() for each in fields(state[6][0])[1]]
    stream.send(text(2, text(1, b"\x08" + varint(int(time.time())))))
    for _ in range(5):
        api.ping()
    stream.cancel()
    api.close()
    # A network that broke: with the same Session it comes again.
    api = Connection(told)
    stream, state = _connect(api, access, service)
    found["again"] = _addresses(state)
    other = Connection(told)
    found["configs"] = other.unary("user", "SetServiceConfigs", text(1, service), access)[0]
    found["disconnect"] = other.unary("user", "Disconnect", b"", access)[0]
    events = []
    while (message := stream.message()) is not None:
        events += [number for number in fields(message) if number != 11]
    found["events"], found["end"] = events, stream.status()
    found["logout"] = auth.unary("auth", "Logout", b"", refresh)[0]
    found["after"] = other.unary("user", "GetStatus", b"", access)[0]
    return found


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
