"""Calls to the Cluster's API whose requests are not complete yet: what they may hold, how long.

A component that speaks gRPC takes in as much of a message as its prefix announces, before anybody
there can look at it. So whoever says half of a message holds memory for it until the call ends.
What is passed on is counted here, on the way. Callers without a Session are bounded before, in
`octelium.vigil.anteroom`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from octelium.http.budget import Budget
from octelium.http.grpc_messages import status_fields
from octelium.http.message import HeaderBlock, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import ResponseReceiver, UpstreamError, UpstreamStream
    from octelium.http.message import Fields, UpstreamRequest
    from octelium.http.ticker import Ticker

MOST_BYTES: Final = 128 << 20
"""Bytes of unfinished requests that one process has passed on."""
MOST_BYTES_EACH: Final = 32 << 20
"""Of these, those of one Session; the largest message that the API takes has 20 MiB."""
SILENCE: Final = 10.0
"""Seconds in which nothing comes of a request that is not complete."""
_SESSION: Final = b"\r\nx-octelium-session-uid: "
_CONTENT_TYPE: Final = (b"content-type", b"application/grpc")
_DEADLINE_EXCEEDED: Final = 4  # gRPC's page "Status codes and their use in gRPC"
_RESOURCE_EXHAUSTED: Final = 8


class Connections(Protocol):
    """Opens requests to an upstream; see `octelium.vigil.configuration.Connections`."""

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        """See `OriginPool.open`."""


class Unfinished:
    """The unfinished calls of a process.

    A Session that holds too much loses its oldest unfinished call; if all together do, so does the
    one that holds most.
    """

    def __init__(self, ticker: Ticker, most: int = MOST_BYTES, each: int = MOST_BYTES_EACH) -> None:
        self.ticker = ticker
        self.budget = Budget(most, each)
        self.calls: set[UnfinishedCall] = set()
        ticker.add(self)

    def at(self, connections: Connections) -> Bounded:
        """`connections`, bounded with all others."""
        return Bounded(self, connections)

    def tick(self, now: float) -> None:
        """End the calls of which nothing came for too long."""
        for call in tuple(self.calls):
            call.expire(now - SILENCE)


class Bounded:
    """Connections to a component; satisfies `Connections`. What is complete passes as it is."""

    __slots__ = ("_connections", "_unfinished")

    def __init__(self, unfinished: Unfinished, connections: Connections) -> None:
        self._unfinished = unfinished
        self._connections = connections

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        """See `Connections`."""
        if not end:
            session = session_of(request)
            if session:
                call = UnfinishedCall(self._unfinished, receiver, session)
                call.start(
                    lambda: self._connections.open(request, call, data, False, fresh=fresh),
                    len(data),
                )
                return call
        return self._connections.open(request, receiver, data, end, fresh=fresh)


def session_of(request: UpstreamRequest) -> str:
    """The uid of the caller's Session, empty without one.

    The proxy's own fields are the last ones.
    """
    _, found, rest = (b"\r\n" + request.block.h1).rpartition(_SESSION)
    return rest.partition(b"\r\n")[0].decode("latin-1") if found else ""


class UnfinishedCall:
    """One call: an `UpstreamStream` for its relay, a `ResponseReceiver` behind it."""

    __slots__ = (
        "_answered",
        "_heard",
        "_inner",
        "_paused",
        "_place",
        "_receiver",
        "_unfinished",
    )

    def __init__(self, unfinished: Unfinished, receiver: ResponseReceiver, session: str) -> None:
        self._unfinished = unfinished
        self._receiver: ResponseReceiver | None = receiver
        self._place = unfinished.budget.place(session, self._evicted)
        self._inner: UpstreamStream = _NOTHING
        self._heard = unfinished.ticker.now
        self._paused = False
        """Whether the component takes no more: then the client is not the one who is silent."""
        self._answered = False

    def start(self, begin: Callable[[], UpstreamStream], size: int) -> None:
        """Have `begin` send the head and the first `size` bytes."""
        self._unfinished.calls.add(self)
        self._inner = begin()
        self._take(size)

    def expire(self, before: float) -> None:
        """End this call if the last that came of it came `before`, in the ticker's seconds."""
        if not self._paused and self._heard <= before:
            text = f"nothing came of the request for {SILENCE:g} s"
            self._refuse(_DEADLINE_EXCEEDED, text)

    def _evicted(self) -> None:
        text = "too many bytes of this Session's unfinished requests wait: try later"
        self._refuse(_RESOURCE_EXHAUSTED, text)

    def _take(self, size: int) -> None:
        if size and self in self._unfinished.calls:
            self._place.take(size)

    def _settle(self) -> None:
        """The request is not unfinished any more."""
        self._unfinished.calls.discard(self)
        self._place.leave()

    def _refuse(self, code: int, text: str) -> None:
        """Answer soon: the relay may be within a call to this stream, or to another one."""
        self._settle()
        inner, self._inner = self._inner, _NOTHING
        inner.reset()
        asyncio.get_running_loop().call_soon(self._tell, status_fields(code, text))

    def _tell(self, fields: Fields) -> None:
        receiver = self._end()
        if receiver is None:
            return
        if self._answered:
            receiver.response_ended(fields)
        else:
            block = HeaderBlock((_CONTENT_TYPE, *fields))
            receiver.response_head(ResponseHead(200, block, 20), b"", True)

    def _end(self) -> ResponseReceiver | None:
        """There is no more to pass on, in either direction; whoever is to be told that."""
        self._settle()
        self._inner = _NOTHING
        receiver, self._receiver = self._receiver, None
        return receiver

    # The relay's side.

    def send_data(self, data: bytes) -> None:
        """See `UpstreamStream`."""
        self._heard = self._unfinished.ticker.now
        self._inner.send_data(data)
        self._take(len(data))

    def send_end(self, trailers: Fields = ()) -> None:
        """See `UpstreamStream`."""
        self._settle()
        self._inner.send_end(trailers)

    def reset(self) -> None:
        """See `UpstreamStream`."""
        inner = self._inner
        self._end()
        inner.reset()

    def pause_receiving(self) -> None:
        """See `UpstreamStream`."""
        self._inner.pause_receiving()

    def resume_receiving(self) -> None:
        """See `UpstreamStream`."""
        self._inner.resume_receiving()

    # The component's side.

    def response_informational(self, head: ResponseHead) -> None:
        """See `ResponseReceiver`."""
        if self._receiver is not None:
            self._receiver.response_informational(head)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """See `ResponseReceiver`."""
        self._answered = True
        receiver = self._end() if end else self._receiver
        if receiver is not None:
            receiver.response_head(head, data, end)

    def response_data(self, data: bytes) -> None:
        """See `ResponseReceiver`."""
        if self._receiver is not None:
            self._receiver.response_data(data)

    def response_ended(self, trailers: Fields) -> None:
        """See `ResponseReceiver`."""
        receiver = self._end()
        if receiver is not None:
            receiver.response_ended(trailers)

    def response_failed(self, error: UpstreamError) -> None:
        """See `ResponseReceiver`."""
        receiver = self._end()
        if receiver is not None:
            receiver.response_failed(error)

    def upstream_paused(self) -> None:
        """See `ResponseReceiver`."""
        self._paused = True
        if self._receiver is not None:
            self._receiver.upstream_paused()

    def upstream_resumed(self) -> None:
        """See `ResponseReceiver`."""
        self._paused = False
        self._heard = self._unfinished.ticker.now
        if self._receiver is not None:
            self._receiver.upstream_resumed()


class _Nothing:
    """In place of a stream that is over."""

    __slots__ = ()

    def send_data(self, data: bytes) -> None:
        """Drop `data`."""

    def send_end(self, trailers: Fields = ()) -> None:
        """Nothing is to be ended."""

    def reset(self) -> None:
        """Nothing is to be given up."""

    def pause_receiving(self) -> None:
        """Nothing comes."""

    def resume_receiving(self) -> None:
        """Nothing comes."""


_NOTHING: Final = _Nothing()
