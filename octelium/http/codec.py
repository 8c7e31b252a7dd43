"""What speaks a protocol on a connection, and what stands below it until it takes over."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol


class Codec(Protocol):
    """What speaks with a peer: an asyncio Protocol."""

    def connection_made(self, transport: Any) -> None:
        """The connection is ready for it, a handshake done if there was to be one."""

    def data_received(self, data: bytes) -> None:
        """Bytes in the clear."""

    def eof_received(self) -> bool | None:
        """The peer ended its half; a false result closes the connection."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""

    def pause_writing(self) -> None:
        """The peer takes no more for now."""

    def resume_writing(self) -> None:
        """The peer takes more."""


class CodecHost(asyncio.Protocol):
    """Stands between a transport and the codec, which it may have yet to choose."""

    _codec: Codec | None = None

    def eof_received(self) -> bool | None:
        """The peer ended its half."""
        return False if self._codec is None else self._codec.eof_received()

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        if self._codec is not None:
            self._codec.pause_writing()

    def resume_writing(self) -> None:
        """The peer takes more."""
        if self._codec is not None:
            self._codec.resume_writing()
