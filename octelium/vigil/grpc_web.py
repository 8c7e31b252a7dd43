"""Serves gRPC-Web: to a relay, a stream from a browser looks like one of gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.http.grpc_web import Form, TextDecoder, TextEncoder, form_of, trailer_frame
from octelium.http.message import FieldBlock, HeaderBlock, MessageError, RequestHead

if TYPE_CHECKING:
    from octelium.http.exchange import Peer, RequestReceiver, RequestStream
    from octelium.http.message import Fields

_BLOCK: Final = object()
"""In `HeaderBlock.derived`: the section as gRPC has it."""
_REPLACED: Final = frozenset({b"content-type", b"content-length", b"te", b"x-grpc-web"})


def form_of_request(head: RequestHead) -> Form | None:
    """The form of a request of gRPC-Web; None for any other request."""
    if head.method != b"POST":
        return None
    return form_of(head.block.first(b"content-type"))


class GrpcWebStream:
    """A `RequestStream` of gRPC over one of gRPC-Web, whose receiver it is."""

    __slots__ = (
        "_decoder",
        "_encoder",
        "_receiver",
        "_response",
        "_stream",
        "_translating",
        "complete",
        "early",
        "head",
        "peer",
    )

    def __init__(self, stream: RequestStream, form: Form) -> None:
        """Raises MessageError for a body that is no base64 although it should be."""
        self._stream = stream
        self._receiver: RequestReceiver | None = None
        self._decoder = TextDecoder() if form.text else None
        self._response = _response_form(stream.head, form)
        self._encoder = TextEncoder() if self._response.text else None
        self._translating = False
        """Whether the response is one of gRPC."""
        self.head = _head(stream.head, form)
        self.peer: Peer = stream.peer
        self.early = self._decoded(stream.early)
        self.complete = stream.complete
        if self._decoder is not None and self.complete:
            self._decoder.close()

    @property
    def receiver(self) -> RequestReceiver | None:
        """Who takes the rest of the request."""
        return self._receiver

    @receiver.setter
    def receiver(self, receiver: RequestReceiver | None) -> None:
        self._receiver = receiver
        self._stream.receiver = None if receiver is None else self

    # RequestReceiver: the browser's side.

    def request_data(self, data: bytes) -> None:
        """See `RequestReceiver`."""
        try:
            data = self._decoded(data)
        except MessageError as error:
            self._refuse(error)
            return
        if data and self._receiver is not None:
            self._receiver.request_data(data)

    def request_ended(self, trailers: Fields) -> None:
        """See `RequestReceiver`."""
        try:
            if self._decoder is not None:
                self._decoder.close()
        except MessageError as error:
            self._refuse(error)
            return
        if self._receiver is not None:
            self._receiver.request_ended(trailers)

    def request_aborted(self, problem: str) -> None:
        """See `RequestReceiver`."""
        if self._receiver is not None:
            self._receiver.request_aborted(problem)

    def downstream_paused(self) -> None:
        """See `RequestReceiver`."""
        if self._receiver is not None:
            self._receiver.downstream_paused()

    def downstream_resumed(self) -> None:
        """See `RequestReceiver`."""
        if self._receiver is not None:
            self._receiver.downstream_resumed()

    def _decoded(self, data: bytes) -> bytes:
        return data if self._decoder is None else self._decoder.decode(data)

    def _refuse(self, error: MessageError) -> None:
        receiver = self._receiver
        self._stream.reset()
        if receiver is not None:
            receiver.request_aborted(str(error))

    # RequestStream: the relay's side.

    def send_informational(self, status: int, block: FieldBlock) -> None:
        """See `RequestStream`."""
        self._stream.send_informational(status, block)

    def send_head(
        self, status: int, block: FieldBlock, data: bytes = b"", *, end: bool = False
    ) -> None:
        """See `RequestStream`. A response of trailers alone keeps them in its head."""
        fields = block.fields
        media_type = next((value for name, value in fields if name == b"content-type"), b"")
        self._translating = media_type.partition(b";")[0].strip().startswith(b"application/grpc")
        if not self._translating:
            self._stream.send_head(status, block, data, end=end)
            return
        kept = [field for field in fields if field[0] not in (b"content-type", b"content-length")]
        translated = FieldBlock([*kept, (b"content-type", self._response.media_type)])
        self._stream.send_head(status, translated, self._encoded(data), end=end)

    def send_data(self, data: bytes) -> None:
        """See `RequestStream`."""
        data = self._encoded(data) if self._translating else data
        if data:
            self._stream.send_data(data)

    def send_end(self, trailers: Fields = ()) -> None:
        """See `RequestStream`."""
        if not self._translating:
            self._stream.send_end(trailers)
            return
        rest = b"" if self._encoder is None else self._encoder.close()
        self._stream.send_data(rest + self._encoded(trailer_frame(trailers)))
        self._stream.send_end()

    def _encoded(self, data: bytes) -> bytes:
        return data if self._encoder is None else self._encoder.encode(data)

    def reset(self) -> None:
        """See `RequestStream`."""
        self._stream.reset()

    def pause_receiving(self) -> None:
        """See `RequestStream`."""
        self._stream.pause_receiving()

    def resume_receiving(self) -> None:
        """See `RequestStream`."""
        self._stream.resume_receiving()

    def deadline(self, seconds: float) -> None:
        """See `RequestStream`."""
        self._stream.deadline(seconds)

    def upgrade(self) -> None:
        """See `RequestStream`; never asked for, as gRPC upgrades nothing."""
        self._stream.upgrade()


def _response_form(head: RequestHead, form: Form) -> Form:
    """What the client accepts; the form of its request if it does not say."""
    for value in head.block.all(b"accept"):
        for element in value.split(b","):
            accepted = form_of(element)
            if accepted is not None:
                return accepted._replace(codec=accepted.codec or form.codec)
    return form


def _head(head: RequestHead, form: Form) -> RequestHead:
    """The head as gRPC has it."""
    block: HeaderBlock | None = head.block.derived.get(_BLOCK)
    if block is None:
        kept = [field for field in head.block.fields if field[0] not in _REPLACED]
        block = HeaderBlock([*kept, (b"content-type", form.grpc), (b"te", b"trailers")])
        head.block.remember(_BLOCK, block)
    return RequestHead(
        head.method,
        head.target,
        head.scheme,
        head.host,
        head.authority,
        block,
        head.version,
        None,
        has_body=head.has_body,
        expect_continue=head.expect_continue,
        keep_alive=head.keep_alive,
    )
