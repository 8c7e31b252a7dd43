from __future__ import annotations

from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h2 import frames


def parsed(data: bytes) -> list[Frame]:
    found = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        found.append(frame)
        data = data[9 + length :]
    return found


@given(st.binary(max_size=200), st.integers(16, 64), st.booleans())
def test_long_header_blocks_are_continued(block: bytes, size: int, end: bool) -> None:
    first, *rest = parsed(frames.headers(5, block, end=end, max_frame=size))
    assert isinstance(first, HeadersFrame)
    assert ("END_STREAM" in first.flags) is end
    assert all(isinstance(frame, ContinuationFrame) for frame in rest)
    assert b"".join(f.data for f in [first, *rest]) == block  # type: ignore[attr-defined]  # both kinds have it
    assert ["END_HEADERS" in f.flags for f in [first, *rest]] == [False] * len(rest) + [True]


def test_settings() -> None:
    (frame,) = parsed(frames.settings([(frames.Setting.MAX_FRAME_SIZE, 20_000)]))
    assert isinstance(frame, SettingsFrame)
    assert frame.settings == {5: 20_000}
    (ack,) = parsed(frames.SETTINGS_ACK)
    assert "ACK" in ack.flags


def test_control_frames() -> None:
    reset, update, away = parsed(
        frames.rst_stream(3, frames.ErrorCode.CANCEL)
        + frames.window_update(3, 77)
        + frames.goaway(9, frames.ErrorCode.ENHANCE_YOUR_CALM)
    )
    assert isinstance(reset, RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (3, 8)
    assert isinstance(update, WindowUpdateFrame)
    assert update.window_increment == 77
    assert isinstance(away, GoAwayFrame)
    assert (away.last_stream_id, away.error_code) == (9, 11)
