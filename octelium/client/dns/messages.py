"""Messages of DNS as the forwarder reads and writes them (RFC 1035, RFC 6891)."""

from __future__ import annotations

import secrets
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype

UDP_SIZE: Final = 1232
"""What we say that we take in a datagram: it is not fragmented on any usual path."""
SMALLEST: Final = 512
TCP_SIZE: Final = 65_535
_LARGEST_QUERY: Final = 4096
_HEAD: Final = 12
_LONGEST_KEPT: Final = 300
_META: Final = {dns.rdatatype.AXFR, dns.rdatatype.IXFR, dns.rdatatype.TKEY, dns.rdatatype.TSIG}


class MessageError(Exception):
    """Something that is no message, or none that belongs here.

    `refusal` is what the asker is told; empty if there is nobody to tell.
    """

    def __init__(self, why: str, refusal: bytes = b"") -> None:
        super().__init__(why)
        self.refusal = refusal


class Query:
    """A question of a program of this host."""

    def __init__(self, message: dns.message.Message) -> None:
        self.message = message
        self.question = message.question[0]
        self.name: str = self.question.name.to_text()

    @property
    def size(self) -> int:
        """Bytes that its asker takes in a datagram."""
        if self.message.edns < 0:
            return SMALLEST
        return min(max(self.message.payload, SMALLEST), UDP_SIZE)

    @property
    def key(self) -> tuple[object, ...]:
        """What answers depend on."""
        flags = dns.flags.CD | dns.flags.AD | dns.flags.RD
        return (
            self.name.lower(),
            self.question.rdtype,
            self.question.rdclass,
            self.message.flags & flags,
            self.message.edns >= 0,
            self.message.ednsflags & dns.flags.DO,
        )

    def onward(self) -> tuple[int, bytes]:
        """The same question with an id of its own that nobody can guess (RFC 5452), and it.

        Options of EDNS concern one hop, and stay here.
        """
        made = dns.message.Message(secrets.randbelow(1 << 16))
        made.flags = self.message.flags & (dns.flags.RD | dns.flags.CD | dns.flags.AD)
        made.question = [self.question]
        if self.message.edns >= 0:
            made.use_edns(0, self.message.ednsflags & dns.flags.DO, UDP_SIZE)
        return made.id, made.to_wire()

    def failure(self, code: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> bytes:
        """An answer that there is none."""
        made = dns.message.make_response(self.message, recursion_available=True)
        made.set_rcode(code)
        return made.to_wire()

    def answer(self, wire: bytes, limit: int, age: int = 0) -> bytes:
        """An answer that `read_answer` took, for this asker, of at most `limit` bytes.

        Lifetimes are `age` seconds shorter.
        """
        found = dns.message.from_wire(wire)
        found.id = self.message.id
        found.question = [self.question]
        for section in (found.answer, found.authority, found.additional):
            for records in section:
                records.ttl = max(records.ttl - age, 0)
        if self.message.edns < 0:
            code = found.rcode()
            found.use_edns(False)
            # A code over 15 is EDNS's own (RFC 6891 section 6.1.3).
            found.set_rcode(code if code < 16 else dns.rcode.SERVFAIL)
        return found.to_wire(max_size=limit, prefer_truncation=True)


def read_query(wire: bytes) -> Query:
    """Read what a program asks.

    Raises:
        MessageError: it is no question, or one that is not forwarded.
    """
    if not _HEAD <= len(wire) <= _LARGEST_QUERY or wire[2] & 0x80:
        raise MessageError("no question")
    try:
        message = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError) as error:
        raise MessageError(str(error), _refusal(wire, dns.rcode.FORMERR)) from error
    if message.opcode() != dns.opcode.QUERY:
        raise MessageError("no question", _refusal(wire, dns.rcode.NOTIMP))
    if len(message.question) != 1 or message.answer or message.authority:
        raise MessageError("not one question", _refusal(wire, dns.rcode.FORMERR))
    if message.question[0].rdtype in _META:
        raise MessageError("not looked up", _refusal(wire, dns.rcode.REFUSED))
    return Query(message)


def read_answer(wire: bytes, number: int, query: Query) -> tuple[dns.rcode.Rcode, bool]:
    """Check an answer to `query.onward()`, which has the id `number`.

    Its code, and whether it was cut off.

    Raises:
        MessageError: it is none.
    """
    if len(wire) < _HEAD or int.from_bytes(wire[:2], "big") != number or not wire[2] & 0x80:
        raise MessageError("no answer to this question")
    is_cut = bool(wire[2] & 0x02)
    try:
        message = dns.message.from_wire(wire, question_only=is_cut)
    except (dns.exception.DNSException, ValueError) as error:
        raise MessageError(f"an answer that is no message: {error}") from error
    code = message.rcode()
    bare = not message.question and code in (dns.rcode.FORMERR, dns.rcode.NOTIMP)
    if not bare and message.question != [query.question]:
        raise MessageError("an answer to another question")
    return code, is_cut


def seconds_kept(wire: bytes) -> int:
    """How long an answer may be kept (RFC 2308 section 5 for one that there is nothing)."""
    message = dns.message.from_wire(wire)
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return 0
    lives = [records.ttl for records in (*message.answer, *message.authority)]
    if not message.answer:
        starts = [each for each in message.authority if each.rdtype == dns.rdatatype.SOA]
        if not starts:
            return 0
        lives.append(starts[0][0].minimum)
    return min([_LONGEST_KEPT, *lives])


def _refusal(wire: bytes, code: dns.rcode.Rcode) -> bytes:
    """The head alone: what follows cannot be trusted to be a question."""
    return wire[:2] + bytes((0x80 | wire[2] & 0x79, code)) + bytes(8)
