from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.exchange import Peer
from octelium.http.grpc_web import TextDecoder, form_of, trailer_frame
from octelium.http.message import FieldBlock, HeaderBlock, MessageError, RequestHead
from octelium.replica.arrival import FrontDoor
from octelium.vigil.grpc_web import GrpcWebStream, form_of_request

if TYPE_CHECKING:
    from octelium.http.exchange import RequestReceiver
    from octelium.http.message import Fields

MESSAGE = b"\0\0\0\0\x05hello"
TRAILERS = ((b"grpc-status", b"0"),)


def head(media_type: bytes, *more: tuple[bytes, bytes], method: bytes = b"POST") -> RequestHead:
    fields = [(b"content-type", media_type), (b"content-length", b"16"), (b"x-grpc-web", b"1")]
    block = HeaderBlock([*fields, *more])
    host = b"octelium-api.example.com"
    return RequestHead(
        method, b"/a.B/C", b"https", host, host, block, 11, content_length=16, has_body=True
    )


class Browser:
    """The far side of a stream, which notes what it gets."""

    def __init__(self, head: RequestHead, early: bytes = b"", *, complete: bool = False) -> None:
        self.head = head
        self.peer = Peer(FrontDoor("192.0.2.1", 1), number=1, secure=True)
        self.receiver: RequestReceiver | None = None
        self.early = early
        self.complete = complete
        self.status = 0
        self.fields: Fields = ()
        self.body = b""
        self.trailers: Fields | None = None
        self.calls: list[str] = []

    def send_head(
        self, status: int, block: FieldBlock, data: bytes = b"", *, end: bool = False
    ) -> None:
        self.status, self.fields, self.body = status, block.fields, self.body + data
        if end:
            self.trailers = ()

    def send_data(self, data: bytes) -> None:
        self.body += data

    def send_end(self, trailers: Fields = ()) -> None:
        self.trailers = trailers

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.calls.append(name)


class Relay:
    """A receiver that notes what it gets."""

    def __init__(self) -> None:
        self.body = b""
        self.calls: list[str] = []

    def request_data(self, data: bytes) -> None:
        self.body += data

    def request_ended(self, trailers: Fields) -> None:
        self.calls.append("ended")

    def request_aborted(self, problem: str) -> None:
        self.calls.append("aborted")

    def downstream_paused(self) -> None:
        self.calls.append("paused")

    def downstream_resumed(self) -> None:
        self.calls.append("resumed")


def open_stream(browser: Browser) -> tuple[GrpcWebStream, Relay]:
    form = form_of_request(browser.head)
    assert form is not None
    stream, relay = GrpcWebStream(browser, form), Relay()
    stream.receiver = relay
    return stream, relay


@pytest.mark.parametrize("media_type", [b"application/grpc-web+proto", b"application/grpc-web"])
def test_only_posts_of_its_media_type_are_translated(media_type: bytes) -> None:
    assert form_of_request(head(media_type)) is not None
    assert form_of_request(head(media_type, method=b"GET")) is None
    assert form_of_request(head(b"application/grpc+proto")) is None


def test_the_head_is_that_of_grpc() -> None:
    browser = Browser(head(b"application/grpc-web-text+proto", (b"x-octelium-auth", b"t")))
    stream, _ = open_stream(browser)
    assert stream.head.block.fields == (
        (b"x-octelium-auth", b"t"),
        (b"content-type", b"application/grpc+proto"),
        (b"te", b"trailers"),
    )
    assert stream.head.content_length is None
    assert stream.head.target == b"/a.B/C"
    again, _ = open_stream(Browser(browser.head))
    assert again.head.block is stream.head.block


def test_text_is_decoded_in_both_directions() -> None:
    text = base64.b64encode(MESSAGE)
    browser = Browser(head(b"application/grpc-web-text"), text[:6])
    stream, relay = open_stream(browser)
    received = browser.receiver
    assert received is not None
    received.request_data(text[6:])
    received.request_ended(())
    assert stream.early + relay.body == MESSAGE
    assert relay.calls == ["ended"]

    block = FieldBlock([(b"content-type", b"application/grpc"), (b"content-length", b"10")])
    stream.send_head(200, block, MESSAGE[:4])
    stream.send_data(MESSAGE[4:])
    stream.send_end(TRAILERS)
    assert dict(browser.fields) == {b"content-type": b"application/grpc-web-text"}
    decoder = TextDecoder()
    assert decoder.decode(browser.body) == MESSAGE + trailer_frame(TRAILERS)
    decoder.close()
    assert browser.trailers == ()


def test_the_binary_form_differs_in_its_last_frame_alone() -> None:
    browser = Browser(head(b"application/grpc-web+proto"), MESSAGE, complete=True)
    stream, _ = open_stream(browser)
    assert stream.early == MESSAGE
    stream.send_head(200, FieldBlock([(b"content-type", b"application/grpc+proto")]))
    stream.send_data(MESSAGE)
    stream.send_end(TRAILERS)
    assert browser.body == MESSAGE + trailer_frame(TRAILERS)


def test_the_client_says_which_form_it_accepts() -> None:
    accept = (b"accept", b"text/plain, application/grpc-web+proto")
    browser = Browser(head(b"application/grpc-web-text+proto", accept), b"", complete=True)
    stream, _ = open_stream(browser)
    stream.send_head(200, FieldBlock([(b"content-type", b"application/grpc")]), MESSAGE)
    assert browser.body == MESSAGE
    assert form_of(dict(browser.fields)[b"content-type"]) is not None


def test_a_refusal_keeps_its_status_in_the_head() -> None:
    browser = Browser(head(b"application/grpc-web"), b"", complete=True)
    stream, _ = open_stream(browser)
    block = FieldBlock([(b"content-type", b"application/grpc"), (b"grpc-status", b"16")])
    stream.send_head(200, block, end=True)
    assert dict(browser.fields)[b"grpc-status"] == b"16"
    assert browser.body == b""
    assert browser.trailers == ()


def test_what_is_no_grpc_passes_as_it_is() -> None:
    browser = Browser(head(b"application/grpc-web-text"), b"", complete=True)
    stream, _ = open_stream(browser)
    stream.send_head(502, FieldBlock([(b"content-type", b"text/plain")]), b"Bad ")
    stream.send_data(b"Gateway")
    stream.send_end()
    assert browser.body == b"Bad Gateway"
    assert browser.trailers == ()


@pytest.mark.parametrize(("early", "complete"), [(b"!!!!", False), (b"AAAAA", True)])
def test_a_body_that_is_no_base64_is_refused_at_once(early: bytes, complete: bool) -> None:
    browser = Browser(head(b"application/grpc-web-text"), early, complete=complete)
    form = form_of_request(browser.head)
    assert form is not None
    with pytest.raises(MessageError):
        GrpcWebStream(browser, form)


@pytest.mark.parametrize("more", [b"!!!!", b"A"])
def test_a_body_that_turns_out_to_be_no_base64_breaks_the_exchange(more: bytes) -> None:
    browser = Browser(head(b"application/grpc-web-text"))
    _, relay = open_stream(browser)
    received = browser.receiver
    assert received is not None
    received.request_data(more)
    received.request_ended(())
    assert relay.calls[0] == "aborted"
    assert browser.calls[0] == "reset"


def test_pressure_and_ends_pass_through() -> None:
    browser = Browser(head(b"application/grpc-web"))
    stream, relay = open_stream(browser)
    received = browser.receiver
    assert received is not None
    received.downstream_paused()
    received.downstream_resumed()
    received.request_aborted("gone")
    assert relay.calls == ["paused", "resumed", "aborted"]
    stream.pause_receiving()
    stream.resume_receiving()
    stream.deadline(3.0)
    stream.reset()
    assert browser.calls == ["pause_receiving", "resume_receiving", "deadline", "reset"]
    stream.receiver = None
    assert browser.receiver is None
