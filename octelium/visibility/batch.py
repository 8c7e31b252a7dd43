"""Batches of records: what a worker sends to the log store, and what the store keeps.

A batch is MessagePack. Subjects and repeated texts (User-Agent, host, …) stand once, rows refer to
them by index, so a row takes some 60 bytes and writing one costs about a microsecond.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from octelium.visibility.permutation import HALF, permuted, restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.visibility.record import AccessRecord, AuditSubject

FORMAT = 1
LONGEST_TEXT = 1024
LONGEST_TARGET = 2048
"""Bytes that are kept of a text, and of a request's target: logging must not multiply what an
unauthenticated client sends."""
_SHORT_TEXT = 256
_SHORT_TARGET = 512
"""The same for requests of nobody, of which anybody can make as many as they like."""
_NAME = 8
_KEY = 26
"""Characters of a name and a key; the latter has some 134 bits."""
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Shape(msgspec.Struct, array_like=True, gc=False):
    """What many requests of one client have in common: indexes into the table of texts."""

    method: int
    host: int
    client_address: int
    user_agent: int
    referer: int
    origin: int
    content_type: int
    error: int


class Row(msgspec.Struct, array_like=True, gc=False):
    """An `AccessRecord` whose shared parts are indexes into its batch's tables."""

    number: int
    started: float
    duration: float
    subject: int
    shape: int
    target: bytes
    status: int
    version: int
    request_bytes: int
    response_bytes: int
    connection: int
    grpc_status: int


class Span(msgspec.Struct, array_like=True):
    """The least and the greatest number and start of a batch's rows; whether all are nobody's."""

    first: int
    last: int
    earliest: float
    latest: float
    anonymous: bool = False


class Header(msgspec.Struct, array_like=True):
    """The beginning of a batch, which is all that keeping it needs."""

    format: int
    prefix: str
    """Eight characters that name the worker process, first half of every id; behind them the secret
    key by which it gives out ids. Without a key ids count."""
    span: Span | None
    """None without rows."""


class Batch(Header, array_like=True):
    """Rows of one worker in the order in which they ended, with their tables."""

    subjects: list[dict[str, Any]]
    shapes: list[Shape]
    texts: list[bytes]
    """Text 0 is the empty text, which also stands for an absent one."""
    rows: list[Row]


H = TypeVar("H", bound=Header)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Batch)
_HEADER_DECODER = msgspec.msgpack.Decoder(Header)


def new_prefix() -> str:
    """A random name for a worker process, used in the ids of its entries, and a key for these."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_NAME + _KEY))


def name_of(prefix: str) -> str:
    """What of a prefix may be shown."""
    return prefix[:_NAME]


def longest(*, known: bool) -> tuple[int, int]:
    """Bytes that are kept of a text, and of a target, of a request of somebody or of nobody."""
    return (LONGEST_TEXT, LONGEST_TARGET) if known else (_SHORT_TEXT, _SHORT_TARGET)


def entry_id(prefix: str, number: int) -> str:
    """The id of an entry, in the official shape `xxxx-xxxx-24-xxxx-xxxx`.

    It tells whoever does not have the key in `prefix` nothing of how many there were before.

    Raises:
        ValueError: `number` does not fit into eight base-36 digits.
    """
    if number >= HALF * HALF:
        raise ValueError("more entries than ids in one worker process")
    key = prefix[_NAME:].encode()
    place = permuted(number, key) if key else number
    digits = ""
    for _ in range(8):
        place, digit = divmod(place, 36)
        digits = _ALPHABET[digit] + digits
    return f"{prefix[:4]}-{prefix[4:_NAME]}-24-{digits[:4]}-{digits[4:]}"


def split_id(entry: str) -> tuple[str, int]:
    """The worker's name in an id, and what `number_at` finds the number by.

    Raises:
        ValueError: `entry` is not an id.
    """
    parts = entry.split("-")
    if [len(part) for part in parts] != [4, 4, 2, 4, 4] or parts[2] != "24":
        raise ValueError(f"{entry!r} is not the id of a log entry")
    if not all(set(part) <= set(_ALPHABET) for part in parts):
        raise ValueError(f"{entry!r} is not the id of a log entry")
    return parts[0] + parts[1], int(parts[3] + parts[4], 36)


def number_at(prefix: str, place: int) -> int:
    """The number of the entry with the second half of an id, of the worker `prefix`."""
    key = prefix[_NAME:].encode()
    return restored(place, key) if key else place


def encode(prefix: str, records: Sequence[AccessRecord]) -> bytes:
    """Pack `records` of the worker `prefix` into one batch.

    Those of nobody belong into batches of their own, where less of them is kept.
    """
    anonymous = bool(records) and not any(record.subject.authenticated for record in records)
    longest_text, longest_target = longest(known=not anonymous)
    subjects: dict[int, int] = {}
    subject_table: list[AuditSubject] = []
    shapes: dict[tuple[object, ...], int] = {}
    rows = []
    for record in records:
        subject = record.subject
        key = id(subject)  # `record` keeps it alive, so the id stays its own
        index = subjects.get(key)
        if index is None:
            index = subjects[key] = len(subject_table)
            subject_table.append(subject)
        shape = (
            record.method,
            record.host,
            record.client_address,
            record.user_agent,
            record.referer,
            record.origin,
            record.content_type,
            record.error,
        )
        place = shapes.get(shape)
        if place is None:
            place = shapes[shape] = len(shapes)
        # A tuple is written like a Row, and made in less than half the time.
        rows.append(
            (
                record.number,
                record.started,
                record.duration,
                index,
                place,
                record.target[:longest_target],
                record.status,
                record.version,
                record.request_bytes,
                record.response_bytes,
                record.connection,
                record.grpc_status,
            )
        )
    texts: dict[bytes, int] = {b"": 0}
    shape_table = [[_index(texts, part, longest_text) for part in shape] for shape in shapes]
    tables = [msgspec.to_builtins(subject) for subject in subject_table]
    span = _span(records, anonymous=anonymous)
    batch = (FORMAT, prefix, span, tables, shape_table, list(texts), rows)
    return _ENCODER.encode(batch)


def _index(texts: dict[bytes, int], part: object, most: int) -> int:
    text = part.encode() if isinstance(part, str) else part
    kept = text[:most] if isinstance(text, bytes) else b""
    return texts.setdefault(kept, len(texts))


def _span(records: Sequence[AccessRecord], *, anonymous: bool) -> Span | None:
    if not records:
        return None
    starts = [record.started for record in records]
    # Records are numbered as they end, so the first and the last have the least and the greatest.
    return Span(records[0].number, records[-1].number, min(starts), max(starts), anonymous)


def decode_header(data: bytes) -> Header:
    """The beginning of a batch.

    Raises:
        ValueError: `data` is damaged, or of a format that this version does not know.
    """
    return _decoded(_HEADER_DECODER, data)


def decode(data: bytes) -> Batch:
    """Unpack a batch.

    Raises:
        ValueError: `data` is damaged, or of a format that this version does not know.
    """
    return _decoded(_DECODER, data)


def _decoded(decoder: msgspec.msgpack.Decoder[H], data: bytes) -> H:
    try:
        header = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged batch of log records: {error}") from error
    if header.format != FORMAT:
        raise ValueError(f"batch of log records in unknown format {header.format}")
    return header
