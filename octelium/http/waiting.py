"""A request that waits before there is a connection to send it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import ResponseReceiver, UpstreamStream
    from octelium.http.message import Fields, UpstreamRequest

MAX_HELD: Final = 64 << 10
"""Bytes of a request's body that wait for a connection."""


class WaitingStream:
    """An `UpstreamStream` that keeps what it is given until `_begin`, and then passes it on."""

    __slots__ = (
        "_blocked",
        "_end",
        "_held",
        "_inner",
        "_paused",
        "_receiver",
        "_request",
        "_trailers",
        "over",
    )

    def __init__(
        self, request: UpstreamRequest, receiver: ResponseReceiver, data: bytes, end: bool
    ) -> None:
        self._request = request
        self._receiver = receiver
        self._held = bytearray(data)
        self._end = end
        self._trailers: Fields = ()
        self._blocked = False
        """Whether the receiver was asked to send no more for now."""
        self._paused = False
        self._inner: UpstreamStream | None = None
        self.over = False
        """Whether nothing is to be sent any more."""

    def _begin(self, send: Callable[[bytes, bool], UpstreamStream]) -> None:
        """Send what waits by `send(data, end)`, which gives the stream for what follows."""
        data, self._held = bytes(self._held), bytearray()
        whole = self._end and not self._trailers
        inner = self._inner = send(data, whole)
        if self._end and not whole:
            inner.send_end(self._trailers)
        if self._paused:
            inner.pause_receiving()
        if self._blocked:
            self._blocked = False
            self._receiver.upstream_resumed()

    def send_data(self, data: bytes) -> None:
        """See `UpstreamStream.send_data`."""
        if self._inner is not None:
            self._inner.send_data(data)
        elif not self.over:
            self._held += data
            if len(self._held) > MAX_HELD and not self._blocked:
                self._blocked = True
                self._receiver.upstream_paused()

    def send_end(self, trailers: Fields = ()) -> None:
        """See `UpstreamStream.send_end`."""
        if self._inner is not None:
            self._inner.send_end(trailers)
        else:
            self._end = True
            self._trailers = trailers

    def reset(self) -> None:
        """See `UpstreamStream.reset`."""
        self.over = True
        if self._inner is not None:
            self._inner.reset()

    def pause_receiving(self) -> None:
        """See `UpstreamStream.pause_receiving`."""
        self._paused = True
        if self._inner is not None:
            self._inner.pause_receiving()

    def resume_receiving(self) -> None:
        """See `UpstreamStream.resume_receiving`."""
        self._paused = False
        if self._inner is not None:
            self._inner.resume_receiving()
