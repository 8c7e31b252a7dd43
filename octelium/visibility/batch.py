"""Batches of records: what a worker sends to the log store, and what the store keeps.

A batch is MessagePack. Subjects and repeated texts (User-Agent, host, …) stand once, rows refer to
them by index, so a row takes some 60 bytes and writing one costs about a microsecond.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.visibility.record import AccessRecord, AuditSubject

FORMAT = 1
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Row(msgspec.Struct, array_like=True, gc=False):
    """An `AccessRecord` whose shared parts are indexes into its batch's tables."""

    number: int
    started: float
    duration: float
    subject: int
    method: int
    target: bytes
    status: int
    version: int
    request_bytes: int
    response_bytes: int
    host: int
    client_address: int
    user_agent: int
    referer: int
    origin: int
    content_type: int
    connection: int
    error: int
    grpc_status: int


class Batch(msgspec.Struct, array_like=True):
    """Rows of one worker in the order in which they ended, with their tables."""

    format: int
    prefix: str
    """Eight characters that name the worker process; first half of every id."""
    subjects: list[dict[str, Any]]
    texts: list[bytes]
    """Text 0 is the empty text, which also stands for an absent one."""
    rows: list[Row]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Batch)


def new_prefix() -> str:
    """A random name for a worker process, used in the ids of its entries."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def entry_id(prefix: str, number: int) -> str:
    """The id of an entry, in the official shape `xxxx-xxxx-24-xxxx-xxxx`.

    Raises:
        ValueError: `number` does not fit into eight base-36 digits.
    """
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
    if number:
        raise ValueError("more entries than ids in one worker process")
    return f"{prefix[:4]}-{prefix[4:]}-24-{digits[:4]}-{digits[4:]}"


def split_id(entry: str) -> tuple[str, int]:
    """Prefix and number of an id; the reverse of `entry_id`.

    Raises:
        ValueError: `entry` is not an id.
    """
    parts = entry.split("-")
    if [len(part) for part in parts] != [4, 4, 2, 4, 4] or parts[2] != "24":
        raise ValueError(f"{entry!r} is not the id of a log entry")
    if not all(set(part) <= set(_ALPHABET) for part in parts):
        raise ValueError(f"{entry!r} is not the id of a log entry")
    return parts[0] + parts[1], int(parts[3] + parts[4], 36)


def encode(prefix: str, records: Iterable[AccessRecord]) -> bytes:
    """Pack `records` of the worker `prefix` into one batch."""
    subjects: dict[int, int] = {}
    subject_table: list[AuditSubject] = []
    texts: dict[bytes, int] = {b"": 0}

    def text(value: bytes | None) -> int:
        return texts.setdefault(value, len(texts)) if value else 0

    rows = []
    for record in records:
        subject = record.subject
        key = id(subject)  # `record` keeps it alive, so the id stays its own
        index = subjects.get(key)
        if index is None:
            index = subjects[key] = len(subject_table)
            subject_table.append(subject)
        rows.append(
            Row(
                record.number,
                record.started,
                record.duration,
                index,
                text(record.method),
                record.target,
                record.status,
                record.version,
                record.request_bytes,
                record.response_bytes,
                text(record.host),
                text(record.client_address.encode()),
                text(record.user_agent),
                text(record.referer),
                text(record.origin),
                text(record.content_type),
                record.connection,
                text(record.error.encode()),
                record.grpc_status,
            )
        )
    tables = [msgspec.to_builtins(subject) for subject in subject_table]
    return _ENCODER.encode(Batch(FORMAT, prefix, tables, list(texts), rows))


def decode(data: bytes) -> Batch:
    """Unpack a batch.

    Raises:
        ValueError: `data` is damaged, or of a format that this version does not know.
    """
    try:
        batch = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"damaged batch of log records: {error}") from error
    if batch.format != FORMAT:
        raise ValueError(f"batch of log records in unknown format {batch.format}")
    return batch
