"""DNS messages on their way in and out (RFC 1035 §4, RFC 6891): queries read, answers assembled.

What clients send is read by hand and strictly: a head, one question, perhaps one OPT record. That
takes a tenth of the time of a complete parser. What other resolvers send is left to dnspython; see
`answers`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
BADVERS: Final = 16
"""Response codes (RFC 1035 §4.1.1, RFC 6891 §9)."""

IN: Final = 1
UDP_SIZE: Final = 1232
"""The greatest answer over UDP: what the smallest MTU of a tunnel, 1280, holds in IPv6."""
TCP_SIZE: Final = 65535

_PLAIN_SIZE: Final = 512  # of clients without EDNS (RFC 1035 §2.3.4)
_HEAD: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_QR, _AA, _TC, _RD, _RA, _AD, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
_OPCODE: Final = 0x7800
_DO: Final = 0x8000
_OPT: Final = 41
_MAX_EXTRA: Final = 8
_LONGEST_NAME: Final = 255
_EDE: Final = 15  # RFC 8914

_EMPTY_OPT: Final = bytes((0,)) + _RECORD.pack(_OPT, UDP_SIZE, 0, 0)
_EMPTY_OPT_DO: Final = bytes((0,)) + _RECORD.pack(_OPT, UDP_SIZE, _DO, 0)


class IgnoredError(Exception):
    """Bytes that are no query at all: nothing is sent back, lest two servers talk forever."""


class BadQueryError(Exception):
    """A query that cannot be answered. `reply` tells the client so, `rcode` is what it says."""

    def __init__(self, rcode: int, reply: bytes) -> None:
        super().__init__(rcode)
        self.rcode = rcode
        self.reply = reply


@dataclass(slots=True)
class Query:
    """One question.

    `question` is as the client wrote it, the case of its letters included; `name` is its name in
    wire form and lower case. `size` is the greatest UDP answer that the client takes.
    """

    id: int
    flags: int
    question: bytes
    name: bytes
    type: int
    dns_class: int
    edns: bool
    size: int
    dnssec: bool
    """Whether the client wants signatures (the DO bit, RFC 3225)."""

    @property
    def unchecked(self) -> bool:
        """Whether the client checks signatures itself (the CD bit, RFC 4035 §3.2.2)."""
        return bool(self.flags & _CD)

    @property
    def wants_authentic(self) -> bool:
        """Whether the client understands the AD bit (RFC 6840 §5.7)."""
        return self.dnssec or bool(self.flags & _AD)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a question, whoever asks it.

    `records` are those of the answer and the authority section, `counts` how many of each; where
    they point into the message, they point into the question. `text` is the first record's data,
    for the log.
    """

    rcode: int
    records: bytes = b""
    counts: tuple[int, int] = (0, 0)
    authoritative: bool = False
    authentic: bool = False
    text: str = ""
    error: int = -1
    """An extended error (RFC 8914 §4), or -1."""


def parse_query(data: bytes) -> Query:
    """Read a query.

    Raises:
        IgnoredError: it is a response, or shorter than a head.
        BadQueryError: it is malformed, of another opcode or of another version of EDNS.
    """
    if len(data) < _HEAD.size:
        raise IgnoredError
    number, flags, questions, answers, authorities, extra = _HEAD.unpack_from(data)
    if flags & _QR:
        raise IgnoredError
    if flags & _OPCODE:
        raise _bad(NOTIMP, number, flags)
    if questions != 1 or answers or authorities or extra > _MAX_EXTRA:
        raise _bad(FORMERR, number, flags)
    length = len(data)
    at = 12
    try:
        while label := data[at]:
            if label > 63:  # there is nothing before a question that it could point to
                raise _bad(FORMERR, number, flags)
            at += label + 1
        name_end = at + 1
        end = name_end + 4
        if end > length or name_end - 12 > _LONGEST_NAME:
            raise _bad(FORMERR, number, flags)
        query = Query(
            number,
            flags,
            data[12:end],
            # Lengths of labels are less than any letter.
            data[12:name_end].lower(),
            (data[name_end] << 8) | data[name_end + 1],
            (data[name_end + 2] << 8) | data[name_end + 3],
            False,
            _PLAIN_SIZE,
            False,
        )
        for _ in range(extra):
            end = _read_extra(query, data, end)
    except (IndexError, struct.error):
        raise _bad(FORMERR, number, flags) from None
    if end != length:
        raise _bad(FORMERR, number, flags)
    return query


def _read_extra(query: Query, data: bytes, at: int) -> int:
    """Read one record of the additional section; where it ends."""
    start = at
    while label := data[at]:
        if label >= 0xC0:
            pointer = ((label & 0x3F) << 8) | data[at + 1]
            # A name earlier in the message, which is the question's or within it.
            if not 12 <= pointer < 12 + len(query.question) - 4:
                raise IndexError
            at += 1
            break
        if label > 63 or at - start > _LONGEST_NAME:
            raise IndexError
        at += label + 1
    at += 1
    kind, size, extended, length = _RECORD.unpack_from(data, at)
    end: int = at + _RECORD.size + length
    if end > len(data):
        raise IndexError
    if kind != _OPT:
        return end
    if query.edns or at != start + 1 or not _are_options(data[end - length : end]):
        raise _bad(FORMERR, query.id, query.flags)
    query.edns = True
    query.size = min(max(size, _PLAIN_SIZE), UDP_SIZE)
    query.dnssec = bool(extended & _DO)
    if (extended >> 16) & 0xFF:  # the version; a later OPT cannot follow
        raise BadQueryError(BADVERS, assemble(query, Answer(BADVERS), UDP_SIZE))
    return end


def _are_options(data: bytes) -> bool:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            return False
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at == len(data)


def _bad(rcode: int, number: int, flags: int) -> BadQueryError:
    kept = flags & (_OPCODE | _RD | _CD)
    return BadQueryError(rcode, _HEAD.pack(number, _QR | kept | rcode, 0, 0, 0, 0))


def assemble(query: Query, answer: Answer, limit: int) -> bytes:
    """The response to a query, of at most `limit` bytes.

    What does not fit is left out as a whole, and the TC bit tells the client to ask by TCP.
    """
    flags = _QR | _RA | (query.flags & (_RD | _CD)) | (answer.rcode & 0xF)
    if answer.authoritative:
        flags |= _AA
    if answer.authentic and query.wants_authentic:
        flags |= _AD
    opt = b""
    if query.edns:
        opt = _EMPTY_OPT_DO if query.dnssec else _EMPTY_OPT
        if answer.error >= 0 or answer.rcode > 0xF:
            opt = _opt(query, answer)
    records, (answers, authorities) = answer.records, answer.counts
    if 12 + len(query.question) + len(records) + len(opt) > limit:
        flags |= _TC
        records, answers, authorities = b"", 0, 0
    head = _HEAD.pack(query.id, flags, 1, answers, authorities, 1 if opt else 0)
    return head + query.question + records + opt


def _opt(query: Query, answer: Answer) -> bytes:
    options = struct.pack("!HHH", _EDE, 2, answer.error) if answer.error >= 0 else b""
    extended = ((answer.rcode >> 4) << 24) | (_DO if query.dnssec else 0)
    return b"\0" + _RECORD.pack(_OPT, UDP_SIZE, extended, len(options)) + options


def record(owner: int, kind: int, ttl: int, data: bytes) -> bytes:
    """One record whose owner is the part of the question that begins at `owner` bytes into it."""
    return struct.pack("!H", 0xC000 | (12 + owner)) + _RECORD.pack(kind, IN, ttl, len(data)) + data


def wire_name(labels: tuple[bytes, ...]) -> bytes:
    """A name in wire form, uncompressed."""
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def labels_of(name: bytes) -> tuple[bytes, ...]:
    """The labels of a name in wire form, uncompressed; the root has none."""
    labels = []
    at = 0
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length])
        at += length + 1
    return tuple(labels)


def text_name(labels: tuple[bytes, ...]) -> str:
    """A name as people write it, with its last dot; what is not plain is escaped.

    RFC 1035 §5.1 tells how.
    """
    return "".join(_text_label(label) + "." for label in labels) or "."


def _text_label(label: bytes) -> str:
    if label.isalnum():
        return label.decode()
    text = ""
    for byte in label:
        character = chr(byte)
        if character in '.\\"();@$':
            text += f"\\{character}"
        elif 0x21 <= byte <= 0x7E:
            text += character
        else:
            text += f"\\{byte:03d}"
    return text
