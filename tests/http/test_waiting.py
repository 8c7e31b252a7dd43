from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from octelium.http.message import FieldBlock, UpstreamRequest
from octelium.http.waiting import MAX_HELD, WaitingStream

REQUEST = UpstreamRequest(b"POST", b"/", b"x", FieldBlock(()), True, None)
TRAILERS = ((b"x-sum", b"1"),)


class Sent:
    """The stream that a request gets in the end."""

    def __init__(self) -> None:
        self.data = b""
        self.ends: list[Any] = []
        self.calls: list[str] = []

    def open(self, data: bytes, end: bool) -> Sent:
        self.data = data
        if end:
            self.ends.append(())
        return self

    def send_data(self, data: bytes) -> None:
        self.data += data

    def send_end(self, trailers: Any = ()) -> None:
        self.ends.append(trailers)

    def reset(self) -> None:
        self.calls.append("reset")

    def pause_receiving(self) -> None:
        self.calls.append("pause")

    def resume_receiving(self) -> None:
        self.calls.append("resume")


class Receiver:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def upstream_paused(self) -> None:
        self.calls.append("paused")

    def upstream_resumed(self) -> None:
        self.calls.append("resumed")


class Waiting(WaitingStream):
    def __init__(self, data: bytes = b"", *, end: bool = False) -> None:
        self.told = Receiver()
        super().__init__(REQUEST, self.told, data, end)  # type: ignore[arg-type]  # the part used

    def begin(self) -> Sent:
        sent = Sent()
        self._begin(sent.open)
        return sent


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=8), max_size=6),
    begun=st.integers(0, 8),
    trailers=st.sampled_from([(), TRAILERS]),
)
def test_whenever_it_begins_the_same_is_sent(
    pieces: list[bytes], begun: int, trailers: Any
) -> None:
    stream = Waiting(b"first")
    sent = stream.begin() if begun == 0 else None
    for number, piece in enumerate(pieces, 1):
        stream.send_data(piece)
        if number == begun and sent is None:
            sent = stream.begin()
    stream.send_end(trailers)
    sent = sent or stream.begin()
    assert sent.data == b"first" + b"".join(pieces)
    assert sent.ends == [trailers]


def test_a_request_that_is_complete_from_the_start() -> None:
    sent = Waiting(b"all", end=True).begin()
    assert (sent.data, sent.ends) == (b"all", [()])


def test_what_waits_is_bounded() -> None:
    stream = Waiting()
    stream.send_data(b"x" * MAX_HELD)
    assert stream.told.calls == []
    stream.send_data(b"x")
    stream.send_data(b"x")
    assert stream.told.calls == ["paused"]
    assert len(stream.begin().data) == MAX_HELD + 2
    assert stream.told.calls == ["paused", "resumed"]


def test_a_pause_holds_when_it_begins() -> None:
    stream = Waiting()
    stream.pause_receiving()
    sent = stream.begin()
    stream.resume_receiving()
    stream.pause_receiving()
    assert sent.calls == ["pause", "resume", "pause"]
    other = Waiting()
    other.pause_receiving()
    other.resume_receiving()
    assert other.begin().calls == []


def test_nothing_is_kept_once_it_is_over() -> None:
    stream = Waiting()
    stream.reset()
    assert stream.over
    stream.send_data(b"x" * 2 * MAX_HELD)
    assert stream.told.calls == []
    begun = Waiting()
    sent = begun.begin()
    begun.reset()
    assert sent.calls == ["reset"]
