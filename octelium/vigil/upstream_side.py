"""The upstream's side of an exchange: its response on the way to the client."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from octelium.http.exchange import Failure, UpstreamError
from octelium.vigil.ending import Ending
from octelium.vigil.errors import Unserviceable

if TYPE_CHECKING:
    from octelium.http.message import Field, Fields, ResponseHead

_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_MAX_ATTEMPTS: Final = 3
_FINAL: Final = frozenset(
    {
        Failure.UNREACHABLE,
        Failure.CONNECT_TIMEOUT,
        Failure.TLS,
        Failure.BUSY,
        Failure.TOO_LARGE,
    }
)
"""Failures that another attempt would only repeat."""
_STATUS: Final = {Failure.CONNECT_TIMEOUT: 504, Failure.BUSY: 503, Failure.TOO_LARGE: 413}
_RETRY_AFTER: Final = (b"retry-after", b"1")


class UpstreamSide(Ending):
    """Receives what the upstream answers; see `ResponseReceiver`."""

    __slots__ = ()

    def response_informational(self, head: ResponseHead) -> None:
        """See `ResponseReceiver`."""
        if head.status == 103 and self._configuration is not None:
            rules = self._configuration.responses[self._front]
            try:
                self._stream.send_informational(103, rules.render(head, self._exchange))
            except Unserviceable as problem:
                self._drop_upstream()
                self._unserviceable(problem)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
                self.broken(error, 502)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """See `ResponseReceiver`."""
        try:
            if end:
                self._upstream = None
            assert self._configuration is not None
            stream = self._stream
            rules = self._configuration.responses[self._front]
            received = head.block
            if b"origin" in stream.head.block.index or head.status == 101:
                block = rules.render(head, self._exchange, self._extra_fields(head))
            else:
                block = rules.render(head, self._exchange)
            index = received.index
            self._status = head.status
            self._content_type = index.get(b"content-type")
            self._sent = len(data)
            if end:
                if b"grpc-status" in index:
                    self._note_grpc(received.fields)
                self._ended = True
                stream.send_head(head.status, block, data, end=True)
                self._finish()
                return
            self.watch()
            self._upstream_request = None  # it is not sent again, and its end may be far
            if self._hurried and not self._plan.managed:
                self._hurried = False
                stream.deadline(inf)
            stream.send_head(head.status, block, data)
            if head.status == 101:
                stream.upgrade()
        except Unserviceable as problem:
            self._drop_upstream()
            self._unserviceable(problem)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def _extra_fields(self, head: ResponseHead) -> list[Field]:
        """What this response gets in place of the upstream's own fields of the same names."""
        request = self._stream.head
        extra = self._plan.cors.fields(request, head.block.first(b"vary"))
        if head.status == 101:
            extra += [(b"Connection", b"Upgrade"), (b"Upgrade", request.upgrade or b"")]
        return extra

    def response_data(self, data: bytes) -> None:
        """See `ResponseReceiver`."""
        self._sent += len(data)
        try:
            self._stream.send_data(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def response_ended(self, trailers: Fields) -> None:
        """See `ResponseReceiver`."""
        if self._ended:
            return
        self._upstream = None
        self._ended = True
        try:
            self._note_grpc(trailers)
            assert self._configuration is not None
            self._stream.send_end(self._configuration.responses[self._front].trailers(trailers))
            self._finish()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def response_failed(self, error: UpstreamError) -> None:
        """See `ResponseReceiver`."""
        if self._ended:
            return
        self._upstream = None
        if self._retry(error):
            return
        self._error = str(error)
        if self._status:
            self._stream.reset()
            self._finish()
            return
        status = _STATUS.get(error.failure, 502)
        extra = self._extra()
        if error.failure is Failure.BUSY:
            extra.append(_RETRY_AFTER)
        self._fail(status, extra)

    def upstream_paused(self) -> None:
        """See `ResponseReceiver`."""
        self._stream.pause_receiving()

    def upstream_resumed(self) -> None:
        """See `ResponseReceiver`."""
        self._stream.resume_receiving()

    def _retry(self, error: UpstreamError) -> bool:
        """Send the request again if it cannot have done anything yet, or does no harm twice."""
        request = self._upstream_request
        configuration = self._configuration
        if (
            request is None
            or configuration is None
            or self._status
            or self._attempts >= _MAX_ATTEMPTS
            or not self._stream.complete
            or self._received > len(self._stream.early)
            or error.failure in _FINAL
        ):
            return False
        harmless = error.stale and request.method in _IDEMPOTENT and not request.has_body
        if not (harmless or error.untouched):
            return False
        self._attempts += 1
        fresh = self._attempts == _MAX_ATTEMPTS
        connections = configuration.endpoint().connections
        self._upstream = connections.open(request, self, self._stream.early, True, fresh=fresh)
        return True
