"""UUIDs of version 7 (RFC 9562 §5.7): they sort by the time they were made."""

from __future__ import annotations

import os
import uuid

_NOISE = (1 << 80) - 1 & ~(0xF << 76 | 0x3 << 62)
_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62


def uuid7(at: float) -> str:
    """A new UUID for the instant `at` (unix seconds, kept to the millisecond)."""
    milliseconds = int(at * 1000) & (1 << 48) - 1
    noise = int.from_bytes(os.urandom(10)) & _NOISE
    return str(uuid.UUID(int=milliseconds << 80 | noise | _VERSION_AND_VARIANT))
