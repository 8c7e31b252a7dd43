"""The client's side of an exchange: the rest of its request, and what it takes of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.vigil.ending import Ending

if TYPE_CHECKING:
    from octelium.http.message import Fields

_BODY_SECONDS: Final = 15.0
"""What somebody without a Session has for a body: all of it towards the Cluster's own components,
each piece of it towards upstreams, until these answer."""
CLIENT_GONE: Final = 499
"""Status in the log of a request whose client went away before there was an answer."""


class ClientSide(Ending):
    """Receives what the client sends; see `RequestReceiver`."""

    __slots__ = ()

    def request_data(self, data: bytes) -> None:
        """See `RequestReceiver`."""
        self._received += len(data)
        try:
            if self._held is not None:
                self._held.append(data)
            elif self._upstream is not None:
                if self._hurried and not self._plan.managed:
                    self._stream.deadline(_BODY_SECONDS)
                self._upstream.send_data(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def request_ended(self, trailers: Fields) -> None:
        """See `RequestReceiver`."""
        try:
            if self._held is not None:
                self._held_end = True
                self._trailers = trailers
            elif self._upstream is not None:
                self._upstream.send_end(self._passed(trailers))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def _passed(self, trailers: Fields) -> Fields:
        """What of the client's trailers goes to the upstream."""
        configuration = self._configuration
        if not trailers or configuration is None:
            return ()
        return configuration.request.trailers(trailers, self._stream.head.block)

    def _hurry(self) -> None:
        """Give the body a deadline."""
        self._hurried = True
        self._stream.deadline(_BODY_SECONDS)

    def request_aborted(self, problem: str) -> None:
        """See `RequestReceiver`."""
        if not self._ended:
            self._drop_upstream()
            if not self._status:
                self._status = CLIENT_GONE
            self._error = problem
            self._finish()

    def downstream_paused(self) -> None:
        """See `RequestReceiver`."""
        if self._upstream is not None:
            self._upstream.pause_receiving()

    def downstream_resumed(self) -> None:
        """See `RequestReceiver`."""
        if self._upstream is not None:
            self._upstream.resume_receiving()
