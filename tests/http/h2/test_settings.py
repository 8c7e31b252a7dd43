from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h2.frames import SETTING, ErrorCode, H2ConnectionError, Setting
from octelium.http.h2.settings import CLIENT_LIMITS, PeerSettings


def packed(*values: tuple[int, int]) -> bytes:
    return b"".join(SETTING.pack(*pair) for pair in values)


def test_values_are_taken_over_and_unknown_ones_ignored() -> None:
    settings = PeerSettings()
    settings.apply(
        packed(
            (Setting.INITIAL_WINDOW_SIZE, 7),
            (Setting.MAX_FRAME_SIZE, 20_000),
            (Setting.MAX_CONCURRENT_STREAMS, 3),
            (0x1234, 99),
        ),
        from_server=True,
    )
    assert (settings.initial_window, settings.max_frame, settings.max_streams) == (7, 20_000, 3)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\0" * 5, ErrorCode.FRAME_SIZE_ERROR),
        (packed((Setting.INITIAL_WINDOW_SIZE, 2**31)), ErrorCode.FLOW_CONTROL_ERROR),
        (packed((Setting.MAX_FRAME_SIZE, 16_383)), ErrorCode.PROTOCOL_ERROR),
        (packed((Setting.MAX_FRAME_SIZE, 2**24)), ErrorCode.PROTOCOL_ERROR),
        (packed((Setting.ENABLE_PUSH, 2)), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_values_out_of_range(payload: bytes, code: ErrorCode) -> None:
    with pytest.raises(H2ConnectionError) as raised:
        PeerSettings().apply(payload, from_server=False)
    assert raised.value.code is code


def test_a_server_may_not_enable_push() -> None:
    PeerSettings().apply(packed((Setting.ENABLE_PUSH, 1)), from_server=False)
    with pytest.raises(H2ConnectionError):
        PeerSettings().apply(packed((Setting.ENABLE_PUSH, 1)), from_server=True)


@given(st.binary(max_size=60))
def test_any_bytes_leave_sane_values(payload: bytes) -> None:
    settings = PeerSettings()
    try:
        settings.apply(payload, from_server=False)
    except H2ConnectionError:
        return
    assert 0 <= settings.initial_window < 2**31
    assert 16_384 <= settings.max_frame < 2**24


def test_no_user_of_an_upstream_connection_can_starve_another() -> None:
    assert CLIENT_LIMITS.max_waiting >= CLIENT_LIMITS.max_streams * CLIENT_LIMITS.stream_window
