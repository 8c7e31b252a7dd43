"""What either end allows the other: our limits, and the peer's SETTINGS (RFC 9113, section 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from octelium.http.h2.frames import (
    DEFAULT_WINDOW,
    MAX_MAX_FRAME,
    MAX_WINDOW,
    MIN_MAX_FRAME,
    SETTING,
    ErrorCode,
    H2ConnectionError,
    Setting,
)

ASSUMED_STREAMS: Final = 100
"""Streams that a client opens before it knows how many the server takes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What we allow a peer. Sizes in bytes, times in seconds."""

    max_streams: int = 100
    """Streams that a client may have open at once."""
    stream_window: int = 512 << 10
    """Body bytes of one stream that may be under way or wait here."""
    connection_window: int = 1 << 20
    """Body bytes of all streams together that may be under way."""
    max_waiting: int = 4 << 20
    """Body bytes that may wait here for slow handlers before the connection gets no more credit."""
    max_header_list: int = 32 << 10
    """Size of a header list as RFC 9113, section 10.5.1 counts it."""
    max_header_block: int = 40 << 10
    """Size of a compressed header block."""
    max_continuations: int = 16
    """CONTINUATION frames in one header block."""
    reset_burst: int = 500
    reset_rate: float = 50
    """Streams that a peer may have reset: at once, and per second after that."""
    control_burst: int = 10_000
    control_rate: float = 1_000
    """Frames that carry nothing: PING, SETTINGS, empty DATA, WINDOW_UPDATE and the like."""
    max_replies: int = 1_000
    """Answers to such frames that may wait because the peer does not read."""
    first_request: float = 10
    """Time until a new connection's first request."""
    idle: float = 300
    """Time without any stream until the connection is closed."""
    ping_after: float = 30
    """Time without a byte, while streams are open, until the peer is asked whether it is alive."""
    ping_timeout: float = 30
    """Time it has to answer; on a slow line what was sent before goes first."""
    stream_timeout: float = 3600
    """Time without DATA either way until a stream is reset."""
    window_timeout: float = 300
    """The same while what we have to send waits for a window."""
    send_timeout: float = 60
    """Time without the peer taking anything of what waits in the transport."""
    limited_bodies: int = 16
    """Requests under way at once whose bodies have a deadline; further ones are refused."""
    linger: float = 2
    """Time for the peer to read the last bytes and close."""


SERVER_LIMITS: Final = Limits()
CLIENT_LIMITS: Final = Limits(
    # One connection carries many users' responses: none of them may starve the others, so all
    # windows together fit in what may wait.
    stream_window=256 << 10,
    connection_window=1 << 20,
    max_waiting=ASSUMED_STREAMS * (256 << 10),
    # Servers may reset as many streams as we open.
    reset_burst=10_000,
    reset_rate=10_000,
)


class PeerSettings:
    """What the peer allows us."""

    __slots__ = ("initial_window", "max_frame", "max_streams")

    def __init__(self) -> None:
        self.initial_window = DEFAULT_WINDOW
        self.max_frame = MIN_MAX_FRAME
        self.max_streams = ASSUMED_STREAMS

    def apply(self, payload: bytes, *, from_server: bool) -> None:
        """Take over a SETTINGS payload. Unknown parameters are ignored.

        Raises:
            H2ConnectionError: a value is outside its range, or the payload's size is wrong.
        """
        if len(payload) % SETTING.size:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        for key, value in SETTING.iter_unpack(payload):
            if key == Setting.INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
                self.initial_window = value
            elif key == Setting.MAX_FRAME_SIZE:
                if not MIN_MAX_FRAME <= value <= MAX_MAX_FRAME:
                    raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "frame size out of range")
                self.max_frame = value
            elif key == Setting.MAX_CONCURRENT_STREAMS:
                self.max_streams = value
            elif key == Setting.ENABLE_PUSH and value > (0 if from_server else 1):
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH out of range")
