"""What a worker remembers of one request until it is written to the log store.

A record is made on the hot path, so everything that many requests share (references, the reason
of the decision) stands once in an `AuditSubject`, which a `Decision` carries along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, eq=False)
class AuditSubject:
    """Who, what and why: the part of an access-log entry that a decision determines.

    The references are JSON forms of `ObjectReference`; `reason` is the JSON form of
    `AccessLog.Entry.Common.Reason`. Compared by identity, so that a batch writes each once.
    """

    mode: str
    """Name of the Service mode, such as `HTTP`."""
    allowed: bool
    authenticated: bool
    reason: Mapping[str, object]
    service: Mapping[str, object] | None = None
    namespace: Mapping[str, object] | None = None
    region: Mapping[str, object] | None = None
    session: Mapping[str, object] | None = None
    user: Mapping[str, object] | None = None
    device: Mapping[str, object] | None = None
    is_public: bool = False
    is_anonymous: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)


class AccessRecord(msgspec.Struct, array_like=True, gc=False):
    """One request or stream, as a worker saw it end. Texts are as received, not decoded."""

    number: int
    """Counts up within one worker process; with the worker's prefix it is the entry's id."""
    started: float
    """Unix seconds."""
    duration: float
    """Seconds from the head's last byte to the response's last byte."""
    subject: AuditSubject
    method: bytes
    target: bytes
    """Path and query as forwarded; the query is cut off when the entry is written."""
    status: int
    """HTTP status sent downstream; 0 if none was."""
    version: int
    """10, 11 or 20."""
    request_bytes: int
    """Bytes of the request's body."""
    response_bytes: int
    """Bytes of the response's body."""
    host: bytes
    client_address: str
    user_agent: bytes | None
    referer: bytes | None
    origin: bytes | None
    content_type: bytes | None
    """Of the response."""
    connection: int
    """Counts connections within one worker process."""
    error: str
    """Why Octelium itself answered (`upstream refused the connection`), else empty."""
    grpc_status: int = -1
    """From the response's trailers; -1 if there was none."""


class LogSink(Protocol):
    """Takes records; must neither block nor raise."""

    prefix: str
    """First half of the ids of the records that come here."""

    def append(self, record: AccessRecord) -> None:
        """Keep `record` for the next batch."""
