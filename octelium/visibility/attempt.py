"""What is kept of one attempt to sign in."""

from __future__ import annotations

from typing import Any

import msgspec

LONGEST = 1024
"""Characters that are kept of a text: most attempts are those of people whom nobody knows."""
_TEXTS = ("reason", "identifier", "email", "client_address", "user_agent", "operation")


class AttemptRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One attempt; the references are JSON forms of `ObjectReference`.

    Stored by the names of its fields: others may be added, none may change its meaning.
    """

    at: float
    """Unix seconds at which it ended."""
    way: str
    outcome: str
    code: str = ""
    reason: str = ""
    user: dict[str, Any] | None = None
    session: dict[str, Any] | None = None
    credential: dict[str, Any] | None = None
    identity_provider: dict[str, Any] | None = None
    authenticator: dict[str, Any] | None = None
    identifier: str = ""
    email: str = ""
    aal: str = ""
    client_address: str = ""
    country: str = ""
    user_agent: str = ""
    operation: str = ""

    def cut(self) -> None:
        """Keep no more of its texts than is to be kept, and nothing that is no Unicode text.

        JSON can spell half of a surrogate pair, which no encoding has a form for.
        """
        for name in _TEXTS:
            text = getattr(self, name)[:LONGEST]
            setattr(self, name, text.encode("utf-8", "replace").decode())


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(AttemptRecord)


def encode(record: AttemptRecord) -> bytes:
    """A record as it is stored, with its texts cut."""
    record.cut()
    return _ENCODER.encode(record)


def decode(data: bytes) -> AttemptRecord:
    """A stored record.

    Raises:
        ValueError: `data` is damaged.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged record of an authentication: {error}") from error
