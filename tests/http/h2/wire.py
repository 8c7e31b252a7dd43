"""What the tests of this room share: frames as records, and handlers that remember."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder, Encoder

from octelium.http.exchange import Peer, RequestStream, UpstreamError, UpstreamStream
from octelium.http.h2 import frames
from octelium.http.h2.client import ClientConnection
from octelium.http.h2.server import ServerConnection
from octelium.http.h2.settings import CLIENT_LIMITS, SERVER_LIMITS, Limits
from octelium.http.message import FieldBlock, Fields, ResponseHead, UpstreamRequest
from octelium.replica.arrival import FrontDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.http.h2.connection import Connection

PEER = Peer(FrontDoor("192.0.2.1", 50000), number=1, secure=True)
REFUSALS = FieldBlock(((b"server", b"octelium"),))
TEXT = FieldBlock(((b"content-type", b"text/plain"),))
GET: Fields = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/"),
    (b":authority", b"example.com"),
)
POST: Fields = ((b":method", b"POST"), *GET[1:])


class Frame(NamedTuple):
    kind: int
    flags: int
    number: int
    payload: bytes


def split(data: bytes) -> list[Frame]:
    """The frames in `data`, which must be whole."""
    found = []
    while data:
        high, low, kind, flags, number = frames.HEAD.unpack_from(data)
        size = high << 16 | low
        assert len(data) >= 9 + size
        found.append(Frame(kind, flags, number, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Request:
    """A handler's side of one request that writes down what it is told."""

    def __init__(self, stream: RequestStream) -> None:
        self.stream = stream
        stream.receiver = self
        self.data = [stream.early] if stream.early else []
        self.trailers: Fields | None = () if stream.complete else None
        self.aborted: str | None = None
        self.told: list[str] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.data)

    def request_data(self, data: bytes) -> None:
        assert data
        assert self.trailers is None
        assert self.aborted is None
        self.data.append(data)

    def request_ended(self, trailers: Fields) -> None:
        assert self.trailers is None
        assert self.aborted is None
        self.trailers = trailers

    def request_aborted(self, problem: str) -> None:
        assert self.aborted is None
        self.aborted = problem

    def downstream_paused(self) -> None:
        self.told.append("paused")

    def downstream_resumed(self) -> None:
        self.told.append("resumed")


class Response:
    """A handler's side of one response that writes down what it is told."""

    def __init__(self) -> None:
        self.stream: UpstreamStream | None = None
        self.informational: list[int] = []
        self.head: ResponseHead | None = None
        self.data: list[bytes] = []
        self.trailers: Fields | None = None
        self.error: UpstreamError | None = None
        self.told: list[str] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.data)

    @property
    def finished(self) -> bool:
        return self.trailers is not None or self.error is not None

    def response_informational(self, head: ResponseHead) -> None:
        assert self.head is None
        self.informational.append(head.status)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        assert self.head is None
        assert not self.finished
        self.head = head
        if data:
            self.data.append(data)
        if end:
            self.trailers = ()

    def response_data(self, data: bytes) -> None:
        assert data
        assert self.head is not None
        assert not self.finished
        self.data.append(data)

    def response_ended(self, trailers: Fields) -> None:
        assert self.head is not None
        assert not self.finished
        self.trailers = trailers

    def response_failed(self, error: UpstreamError) -> None:
        assert not self.finished
        self.error = error

    def upstream_paused(self) -> None:
        self.told.append("paused")

    def upstream_resumed(self) -> None:
        self.told.append("resumed")


class Raw:
    """A peer made of bare frames, with the `hpack` package's own tables."""

    def __init__(self, core: Connection) -> None:
        self.core = core
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def turn(self) -> list[Frame]:
        return split(b"".join(self.core.turn()))

    def send(self, data: bytes) -> list[Frame]:
        self.core.receive(data)
        return self.turn()

    def block(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        encoded: bytes = self.encoder.encode(list(fields))
        return encoded

    def headers(
        self, number: int, fields: Iterable[tuple[bytes, bytes]], *, end: bool = True
    ) -> list[Frame]:
        return self.send(frames.headers(number, self.block(fields), end=end, max_frame=16_384))

    def data(self, number: int, data: bytes = b"", *, end: bool = False) -> list[Frame]:
        return self.send(frames.frame(frames.DATA, frames.END_STREAM if end else 0, number, data))

    def fields(self, frame: Frame) -> list[tuple[bytes, bytes]]:
        assert frame.kind == frames.HEADERS
        assert frame.flags & frames.END_HEADERS
        return [(bytes(n), bytes(v)) for n, v in self.decoder.decode(frame.payload, raw=True)]


class RawClient(Raw):
    """Talks to a ServerConnection."""

    core: ServerConnection

    def __init__(
        self,
        limits: Limits = SERVER_LIMITS,
        handler: Callable[[RequestStream], None] | None = None,
        settings: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.clock = Clock()
        self.requests: list[Request] = []
        core = ServerConnection(
            handler or (lambda stream: self.requests.append(Request(stream))),
            PEER,
            refusals=REFUSALS,
            clock=self.clock,
            wake=self.wake,
            limits=limits,
        )
        super().__init__(core)
        core.start()
        self.greeting = self.turn()
        assert self.send(frames.PREFACE + frames.settings(settings)) == split(frames.SETTINGS_ACK)

    def get(self, number: int = 1) -> Request:
        assert self.headers(number, GET) == []
        return self.requests[-1]

    def post(self, number: int = 1) -> Request:
        assert self.headers(number, POST, end=False) == []
        return self.requests[-1]


class RawServer(Raw):
    """Talks to a ClientConnection."""

    core: ClientConnection

    def __init__(
        self, limits: Limits = CLIENT_LIMITS, settings: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.clock = Clock()
        self.freed = 0
        core = ClientConnection(clock=self.clock, wake=self.wake, freed=self._count, limits=limits)
        super().__init__(core)
        core.start()
        greeting = b"".join(core.turn())
        assert greeting.startswith(frames.PREFACE)
        self.greeting = split(greeting[len(frames.PREFACE) :])
        assert self.send(frames.settings(settings)) == split(frames.SETTINGS_ACK)

    def _count(self) -> None:
        self.freed += 1

    def open(
        self,
        method: bytes = b"GET",
        data: bytes = b"",
        *,
        end: bool = True,
        block: FieldBlock = TEXT,
    ) -> Response:
        response = Response()
        request = UpstreamRequest(method, b"/", b"upstream", block, not end or bool(data))
        response.stream = self.core.open(request, response, data, end=end)
        return response


def kinds(found: Iterable[Frame]) -> list[int]:
    return [frame.kind for frame in found]


def goaway_code(found: Iterable[Frame]) -> int:
    """The code of the GOAWAY at the end, which must be the last frame."""
    last = list(found)[-1]
    assert last.kind == frames.GOAWAY
    return int.from_bytes(last.payload[4:8])


def reset_code(found: Iterable[Frame], number: int) -> int:
    """The code of the only RST_STREAM."""
    (reset,) = [frame for frame in found if frame.kind == frames.RST_STREAM]
    assert reset.number == number
    return int.from_bytes(reset.payload)
