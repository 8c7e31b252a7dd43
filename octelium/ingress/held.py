"""A request that waits before it is known who serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream
    from octelium.http.message import Fields


class Held:
    """Receives what comes meanwhile, and gives it to the receiver that follows."""

    def __init__(self, stream: RequestStream) -> None:
        self.aborted = False
        self._stream = stream
        self._data: list[bytes] = []
        self._trailers: Fields | None = None
        self._paused = False
        if not stream.complete:
            stream.pause_receiving()

    def release(self) -> None:
        """Give everything to the stream's present receiver, and go on reading."""
        receiver = self._stream.receiver
        if receiver is None or receiver is self:
            return
        for data in self._data:
            receiver.request_data(data)
        if self._trailers is not None:
            receiver.request_ended(self._trailers)
        if self._paused:
            receiver.downstream_paused()
        if not self._stream.complete:
            self._stream.resume_receiving()

    def request_data(self, data: bytes) -> None:
        """See `RequestReceiver`."""
        self._data.append(data)

    def request_ended(self, trailers: Fields) -> None:
        """See `RequestReceiver`."""
        self._trailers = trailers

    def request_aborted(self, problem: str) -> None:  # noqa: ARG002 - the Protocol's signature
        """See `RequestReceiver`."""
        self.aborted = True

    def downstream_paused(self) -> None:
        """See `RequestReceiver`."""
        self._paused = True

    def downstream_resumed(self) -> None:
        """See `RequestReceiver`."""
        self._paused = False
