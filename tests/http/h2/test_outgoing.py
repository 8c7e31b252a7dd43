"""What a connection sends though the peer floods it, or takes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from octelium.http.h2 import frames
from octelium.http.h2.frames import ErrorCode, Setting, frame
from octelium.http.h2.settings import SERVER_LIMITS
from tests.http.h2.wire import GET, TEXT, RawClient, Request, goaway_code

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream


@pytest.mark.parametrize(
    "data",
    [
        frame(frames.PING, 0, 0, b"\0" * 8),
        frames.settings([(Setting.INITIAL_WINDOW_SIZE, 9)]),
        frame(frames.DATA, 0, 1),
        frame(frames.DATA, frames.PADDED, 1, b"\x02\0\0"),
        frame(frames.PRIORITY, 0, 1, b"\0" * 5),
        frames.window_update(1, 1),
        frame(0x42, 0, 0),
    ],
)
def test_frames_that_carry_nothing(data: bytes) -> None:
    client = RawClient(replace(SERVER_LIMITS, control_burst=500))
    client.post()
    found = client.send(data * 520)
    assert goaway_code(found) == ErrorCode.ENHANCE_YOUR_CALM


def test_window_updates_that_belong_to_data_are_no_flood() -> None:
    client = RawClient(replace(SERVER_LIMITS, control_burst=500, control_rate=0))
    stream = client.get().stream
    stream.send_head(200, TEXT)
    for _ in range(2000):
        stream.send_data(b"x" * 100)
        client.send(frames.window_update(1, 100) + frames.window_update(0, 100))
    assert not client.core.closed


def test_answers_that_are_not_read() -> None:
    client = RawClient()
    client.core.block()
    found = client.send(frame(frames.PING, 0, 0, b"\0" * 8) * 1200)
    assert goaway_code(found) == ErrorCode.ENHANCE_YOUR_CALM


def test_requests_whose_answers_are_not_taken_wait() -> None:
    def answer(stream: RequestStream) -> None:
        Request(stream).stream.send_head(404, TEXT, end=True)

    client = RawClient(handler=answer)
    client.core.block()
    found = []
    for number in range(1, 401, 2):
        found += client.headers(number, GET)
    assert len(found) == client.core.served == 1
    client.core.unblock()
    for _ in range(4):
        found += client.turn()
    assert [frame.number for frame in found] == list(range(1, 401, 2))
    assert client.core.served == 200


def test_refusals_that_are_not_taken_hold_back_what_follows() -> None:
    client = RawClient()
    client.core.block()
    for number in range(1, 401, 2):
        client.headers(number, [*GET, (b"connection", b"close")])
    assert client.core.last_peer_stream == 1
    client.core.unblock()
    client.turn()
    assert client.core.last_peer_stream == 399
