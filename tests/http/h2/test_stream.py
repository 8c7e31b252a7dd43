"""Flow control both ways, in a connection where one side is bare frames."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.http.h2 import frames
from octelium.http.h2.frames import DATA, END_STREAM, MAX_WINDOW, ErrorCode, Setting
from octelium.http.h2.settings import SERVER_LIMITS
from tests.http.h2.wire import TEXT, RawClient, RawServer, goaway_code, kinds, reset_code


def small(window: int) -> RawClient:
    """A client that lets `window` bytes of each response through."""
    return RawClient(settings=[(Setting.INITIAL_WINDOW_SIZE, window)])


class TestSending:
    def test_the_streams_window_holds_data_back(self) -> None:
        client = small(10)
        request = client.get()
        request.stream.send_head(200, TEXT, b"0123456789abcdef")
        request.stream.send_end()
        _, data = client.turn()
        assert data.payload == b"0123456789"
        assert request.told == ["paused"]
        (data,) = client.send(frames.window_update(1, 100))
        assert (data.payload, data.flags) == (b"abcdef", END_STREAM)
        assert not client.core.streams

    def test_the_handler_is_told_when_there_is_room_again(self) -> None:
        client = small(4)
        request = client.get()
        request.stream.send_head(200, TEXT, b"12345678")
        client.turn()
        client.send(frames.window_update(1, 2))
        assert request.told == ["paused"]
        client.send(frames.window_update(1, 2))
        assert request.told == ["paused", "resumed"]

    def test_the_handler_is_never_called_by_its_own_call(self) -> None:
        client = small(0)
        request = client.get()
        request.stream.send_head(200, TEXT, b"x")
        assert request.told == []
        client.turn()
        assert request.told == ["paused"]

    def test_trailers_wait_behind_data(self) -> None:
        client = small(1)
        stream = client.get().stream
        stream.send_head(200, TEXT, b"ab")
        stream.send_end(((b"x", b"y"),))
        client.turn()
        data, trailers = client.send(frames.window_update(1, 1))
        assert (data.payload, data.flags) == (b"b", 0)
        assert client.fields(trailers) == [(b"x", b"y")]

    def test_the_connections_window_is_shared_in_turns(self) -> None:
        client = RawClient(settings=[(Setting.INITIAL_WINDOW_SIZE, 1 << 20)])
        for request in [client.get(number) for number in (1, 3, 5)]:
            request.stream.send_head(200, TEXT, b"x" * 65_535)
        assert sum(len(f.payload) for f in client.turn() if f.kind == DATA) == 65_535
        seen = set()
        for _ in range(4):
            seen |= {frame.number for frame in client.send(frames.window_update(0, 100))}
        assert seen == {3, 5}

    def test_the_transport_holds_data_back(self) -> None:
        client = RawClient()
        request = client.get()
        client.core.block()
        request.stream.send_head(200, TEXT, b"x" * 10)
        assert kinds(client.turn()) == [frames.HEADERS]
        assert request.told == ["paused"]
        client.core.unblock()
        assert kinds(client.turn()) == [DATA]
        assert request.told == ["paused", "resumed"]

    def test_frames_are_no_larger_than_the_peer_takes(self) -> None:
        client = RawClient()
        client.get().stream.send_head(200, TEXT, b"x" * 40_000, end=True)
        sizes = [len(frame.payload) for frame in client.turn() if frame.kind == DATA]
        assert sizes == [16_384, 16_384, 7_232]

    def test_a_later_initial_window_counts_for_open_streams(self) -> None:
        client = small(10)
        client.get().stream.send_head(200, TEXT, b"x" * 30)
        client.turn()
        client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 5)]))
        assert client.core.streams[1].send_window == -5
        assert client.send(frames.window_update(1, 5)) == []
        found = client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 6)]))
        assert [len(frame.payload) for frame in found if frame.kind == DATA] == [1]

    def test_a_dropped_stream_leaves_no_backlog(self) -> None:
        client = small(0)
        client.get().stream.send_head(200, TEXT, b"x" * 30)
        client.send(frames.rst_stream(1, ErrorCode.CANCEL))
        assert not client.core.backlog
        assert client.send(frames.window_update(0, 100)) == []

    @pytest.mark.parametrize(
        ("number", "first", "second"), [(1, MAX_WINDOW, 1), (1, 0, 0), (0, MAX_WINDOW, 1)]
    )
    def test_windows_have_bounds(self, number: int, first: int, second: int) -> None:
        client = RawClient()
        client.get()
        found = client.send(frames.window_update(number, first))
        if not client.core.closed and not found:
            found = client.send(frames.window_update(number, second))
        if number:
            code = ErrorCode.FLOW_CONTROL_ERROR if first else ErrorCode.PROTOCOL_ERROR
            assert reset_code(found, 1) == code
        else:
            assert goaway_code(found) == ErrorCode.FLOW_CONTROL_ERROR

    def test_an_initial_window_may_not_lift_a_stream_over_the_bound(self) -> None:
        client = RawClient()
        client.get()
        client.send(frames.window_update(1, MAX_WINDOW - frames.DEFAULT_WINDOW))
        found = client.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 65_536)]))
        assert goaway_code(found) == ErrorCode.FLOW_CONTROL_ERROR


class TestReceiving:
    LIMITS = replace(SERVER_LIMITS, stream_window=1000, connection_window=100_000)

    def test_credit_is_given_in_large_steps(self) -> None:
        client = RawClient(self.LIMITS)
        client.post()
        assert client.data(1, b"x" * 400) == []
        (update,) = client.data(1, b"x" * 400)
        assert update.number == 1
        assert int.from_bytes(update.payload) == 800

    def test_a_paused_handler_gets_nothing_and_the_peer_no_credit(self) -> None:
        client = RawClient(self.LIMITS)
        request = client.post()
        request.stream.pause_receiving()
        assert client.data(1, b"x" * 900) == []
        assert request.data == []
        assert client.core.waiting_bytes == 900
        request.stream.resume_receiving()
        assert request.data == []
        (update,) = client.turn()
        assert int.from_bytes(update.payload) == 900
        assert request.body == b"x" * 900
        assert client.core.waiting_bytes == 0

    def test_what_waited_comes_before_what_follows(self) -> None:
        client = RawClient(self.LIMITS)
        request = client.post()
        request.stream.pause_receiving()
        client.data(1, b"one")
        request.stream.resume_receiving()
        client.core.receive(frames.frame(DATA, END_STREAM, 1, b"two"))
        client.turn()
        assert request.body == b"onetwo"
        assert request.trailers == ()

    def test_the_end_waits_behind_the_data(self) -> None:
        client = RawClient(self.LIMITS)
        request = client.post()
        request.stream.pause_receiving()
        client.data(1, b"one")
        client.headers(1, [(b"x", b"y")])
        assert request.trailers is None
        request.stream.resume_receiving()
        client.turn()
        assert request.body == b"one"
        assert list(request.trailers or ()) == [(b"x", b"y")]

    def test_more_than_the_window_ends_the_stream(self) -> None:
        client = RawClient(self.LIMITS)
        request = client.post()
        request.stream.pause_receiving()
        client.data(1, b"x" * 1000)
        assert reset_code(client.data(1, b"x"), 1) == ErrorCode.FLOW_CONTROL_ERROR
        assert request.aborted is not None
        assert client.core.waiting_bytes == 0

    def test_more_than_the_connections_window_ends_the_connection(self) -> None:
        limits = replace(self.LIMITS, stream_window=1 << 20, connection_window=1 << 16)
        limits = replace(limits, max_waiting=0)
        client = RawClient(limits)
        client.post().stream.pause_receiving()
        found = []
        for _ in range(20):
            found = client.data(1, b"x" * 16_000)
            if client.core.closed:
                break
        assert goaway_code(found) == ErrorCode.FLOW_CONTROL_ERROR

    def test_one_slow_handler_does_not_stop_the_others(self) -> None:
        client = RawClient(replace(self.LIMITS, stream_window=60_000, connection_window=65_535))
        client.post(1).stream.pause_receiving()
        client.data(1, b"x" * 16_000)
        other = client.post(3)
        for _ in range(20):
            client.data(3, b"y" * 16_000)
        assert not client.core.closed
        assert len(other.body) == 320_000

    def test_too_much_waiting_stops_the_connection_until_it_is_taken(self) -> None:
        client = RawClient(
            replace(self.LIMITS, stream_window=60_000, connection_window=65_535, max_waiting=40_000)
        )
        request = client.post(1)
        request.stream.pause_receiving()
        updates = [f for _ in range(3) for f in client.data(1, b"x" * 16_000)]
        assert [f for f in updates if f.number == 0] == []
        request.stream.resume_receiving()
        assert sorted(f.number for f in client.turn()) == [0, 1]

    def test_tiny_frames_that_wait_are_joined(self) -> None:
        client = RawClient()
        request = client.post()
        request.stream.pause_receiving()
        for number in range(20_000):
            client.data(1, b"%d" % (number % 10))
        assert len(client.core.streams[1]._inbox) < 5
        request.stream.resume_receiving()
        client.turn()
        assert request.body == b"0123456789" * 2000

    def test_padding_counts_and_is_given_back(self) -> None:
        client = RawClient(self.LIMITS)
        request = client.post()
        padded = frames.frame(DATA, frames.PADDED, 1, b"\xc8" + b"ab" + b"\0" * 200)
        found = [f for _ in range(3) for f in client.send(padded)]
        assert request.body == b"ababab"
        assert sum(int.from_bytes(f.payload) for f in found) == 609


class TestClientSide:
    def test_the_request_waits_for_the_upstreams_window(self) -> None:
        server = RawServer(settings=[(Setting.INITIAL_WINDOW_SIZE, 3)])
        response = server.open(b"POST", b"abcdef")
        assert [f.payload for f in server.turn() if f.kind == DATA] == [b"abc"]
        assert response.told == ["paused"]
        (rest,) = server.send(frames.window_update(1, 3))
        assert (rest.payload, rest.flags) == (b"def", END_STREAM)

    def test_a_slow_client_holds_its_upstream_back(self) -> None:
        server = RawServer()
        response = server.open()
        assert response.stream is not None
        server.turn()
        server.headers(1, [(b":status", b"200")], end=False)
        response.stream.pause_receiving()
        sent = 0
        while sent < (256 << 10):
            found = server.data(1, b"x" * 16_384)
            assert not [f for f in found if f.number == 1]
            sent += 16_384
        assert reset_code(server.data(1, b"x"), 1) == ErrorCode.FLOW_CONTROL_ERROR


@given(
    st.lists(st.binary(min_size=1, max_size=50_000), max_size=6),
    st.lists(st.integers(1, 40_000), min_size=1, max_size=30),
    st.booleans(),
)
@settings(deadline=None)
def test_whatever_the_windows_the_body_arrives_whole(
    pieces: list[bytes], credits_: list[int], trailers: bool
) -> None:
    client = small(credits_[0])
    stream = client.get().stream
    stream.send_head(200, TEXT)
    for piece in pieces:
        stream.send_data(piece)
    stream.send_end(((b"x", b"y"),) if trailers else ())
    found = client.turn()
    allowed = credits_[0]
    for credit in [*credits_[1:], 400_000]:
        assert sum(len(f.payload) for f in found if f.kind == DATA) <= min(allowed, 10**9)
        if not client.core.streams:
            break
        found += client.send(frames.window_update(1, credit) + frames.window_update(0, credit))
        allowed += credit
    body = [f for f in found if f.kind == DATA]
    assert b"".join(f.payload for f in body) == b"".join(pieces)
    assert [f.flags & END_STREAM for f in found if f.kind != frames.WINDOW_UPDATE][-1]
    assert sum(f.flags & END_STREAM for f in found if f.kind in {DATA, frames.HEADERS}) == 1
