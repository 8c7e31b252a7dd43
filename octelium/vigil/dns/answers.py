"""Answers of other resolvers: checked against the question, cleaned, and made ready to be kept.

They are read by dnspython, which is loaded with the first question that is passed on.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from octelium.vigil.dns.wire import NOERROR, NXDOMAIN, SERVFAIL, Answer

if TYPE_CHECKING:
    from octelium.vigil.dns.guard import Guard

FILTERED: Final = 17
"""The extended error (RFC 8914 §4.18) of an answer that pointed into the Cluster."""
_UNREACHABLE: Final = 22  # no reachable authority (RFC 8914 §4.23)

_HEAD: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_QR, _TC, _AD, _CD, _RD, _OPCODE = 0x8000, 0x0200, 0x0020, 0x0010, 0x0100, 0x7800
_IN, _CNAME, _SOA, _DNAME, _RRSIG, _NSEC, _NSEC3 = 1, 5, 6, 39, 46, 47, 50
_MOST_RECORDS: Final = 400
"""More of them are read by nobody, and reading them would hold up everything else."""
_LONGEST_CHAIN: Final = 16
_LONGEST_TEXT: Final = 255

UNREACHABLE: Final = Answer(SERVFAIL, error=_UNREACHABLE)
"""What is said when no server gave an answer."""


class BadAnswerError(Exception):
    """An answer that cannot be used; another server may do better. The text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of another resolver: `name` in wire form and lower case, class IN."""

    name: bytes
    type: int
    dnssec: bool = False
    unchecked: bool = False

    @property
    def wire(self) -> bytes:
        """As it stands in a message."""
        return self.name + struct.pack("!HH", self.type, _IN)

    def message(self, size: int) -> bytes:
        """The query without its two bytes of id; `size` is the greatest UDP answer wanted."""
        flags = _RD | _AD | (_CD if self.unchecked else 0)
        opt = b"\0" + _RECORD.pack(41, size, 0x8000 if self.dnssec else 0, 0)
        return _HEAD.pack(0, flags, 1, 0, 0, 1)[2:] + self.wire + opt

    def is_answered_by(self, message: bytes) -> bool:
        """Whether a message, whose id is right, is a response to this question."""
        wire = self.wire
        if len(message) < _HEAD.size:
            return False
        _, flags, questions, *_ = _HEAD.unpack_from(message)
        if not flags & _QR or flags & _OPCODE or questions != 1:
            return False
        found = message[12 : 12 + len(wire)]
        return found[:-4].lower() == self.name and found[-4:] == wire[-4:]


@dataclass(frozen=True, slots=True)
class Received:
    """An answer, how many seconds it may be kept, and where in its records lifetimes stand."""

    answer: Answer
    seconds: int = 0
    lifetimes: tuple[int, ...] = ()

    def aged(self, seconds: int) -> Answer:
        """The answer as it is some seconds later."""
        if not seconds or not self.lifetimes:
            return self.answer
        records = bytearray(self.answer.records)
        for at in self.lifetimes:
            left = int.from_bytes(records[at : at + 4], "big") - seconds
            records[at : at + 4] = max(left, 0).to_bytes(4, "big")
        return replace(self.answer, records=bytes(records))


def load() -> None:
    """Load the parser of answers, which workers without such questions do not need."""
    import dns.message
    import dns.rdtypes.ANY.CNAME
    import dns.rdtypes.IN.A
    import dns.rdtypes.IN.AAAA  # noqa: F401 - loaded for later


def is_loaded() -> bool:
    """Whether `load` has been called, by whomever."""
    return "dns.rdtypes.IN.AAAA" in sys.modules


def is_truncated(message: bytes) -> bool:
    """Whether the TC bit is set: the whole answer is to be had by TCP."""
    return bool(message[2] & (_TC >> 8))


def read_answer(message: bytes, question: Question, guard: Guard) -> Received:
    """Read a response that answers `question`.

    Of its records those stay that belong to the question, following aliases; lifetimes beyond what
    31 bits hold count as none (RFC 2181 §8). An answer that points into the Cluster becomes a
    failure.

    Raises:
        BadAnswerError: it is malformed, too large, or says that the server failed.
    """
    counts = _HEAD.unpack_from(message)[3:]
    if sum(counts) > _MOST_RECORDS:
        raise BadAnswerError(f"it has {sum(counts)} records")
    try:
        return _read(message, question, guard)
    except BadAnswerError:
        raise
    except Exception as error:
        raise BadAnswerError(f"it is malformed: {type(error).__name__}") from error


def _read(message: bytes, question: Question, guard: Guard) -> Received:
    from dns.message import from_wire

    parsed = from_wire(message)
    rcode = int(parsed.rcode())
    if rcode not in (NOERROR, NXDOMAIN):
        raise BadAnswerError(f"it has the code {rcode}")
    if any(guard.refuses(int(s.rdtype), data) for s in parsed.answer for data in s):
        return Received(Answer(SERVFAIL, error=FILTERED))
    return _cleaned(parsed, question, rcode)


def _cleaned(parsed: Any, question: Question, rcode: int) -> Received:
    asked = parsed.question[0].name
    answers, last = _chain(parsed.answer, asked, follow=question.type != _CNAME)
    found = [s for s in answers if s.rdtype != _RRSIG]
    useful = any(s.rdtype == question.type and s.name == last for s in found)
    denied = rcode == NXDOMAIN or not useful
    authority = [s for s in parsed.authority if _is_denial(s, last, dnssec=question.dnssec)]
    if not denied:
        authority = []
    for one in (*answers, *authority):
        if one.ttl < 0 or one.ttl > 0x7FFFFFFF:
            one.ttl = 0
    seconds = min((s.ttl for s in found), default=0x7FFFFFFF)
    if denied:
        soa = next((s for s in authority if s.rdtype == _SOA), None)
        # Without an SOA nobody knows for how long (RFC 2308 §5).
        seconds = 0 if soa is None else min(seconds, soa.ttl, int(soa[0].minimum))
    records, counts = _render(parsed, answers, authority)
    text = str(found[0][0])[:_LONGEST_TEXT] if found else ""
    authentic = bool(int(parsed.flags) & _AD)
    answer = Answer(rcode, records, counts, authentic=authentic, text=text)
    return Received(answer, seconds, _lifetimes(records, sum(counts)))


def _chain(sets: list[Any], asked: Any, *, follow: bool) -> tuple[list[Any], Any]:
    """The sets that belong to a name and to what it is an alias of, and the last such name."""
    aliases = {s.name: s[0].target for s in sets if s.rdtype == _CNAME}
    chain = [asked]
    while follow and chain[-1] in aliases and len(chain) <= _LONGEST_CHAIN:
        chain.append(aliases[chain[-1]])
    kept = [
        s
        for s in sets
        if s.rdclass == _IN
        and (s.name in chain or (s.rdtype == _DNAME and any(n.is_subdomain(s.name) for n in chain)))
    ]
    return kept, chain[-1]


def _is_denial(found: Any, name: Any, *, dnssec: bool) -> bool:
    """Whether a set of the authority section says, or proves, that there is nothing."""
    if found.rdclass != _IN:
        return False
    if found.rdtype == _SOA:
        return bool(name.is_subdomain(found.name))
    return dnssec and found.rdtype in (_RRSIG, _NSEC, _NSEC3)


def _render(parsed: Any, answers: list[Any], authority: list[Any]) -> tuple[bytes, tuple[int, int]]:
    """The records in wire form, compressed against the question, and how many there are."""
    from dns.message import Message

    made = Message(id=0)
    made.question = parsed.question
    made.answer = answers
    made.authority = authority
    wire = made.to_wire(max_size=65535)
    _, _, _, answer_count, authority_count, _ = _HEAD.unpack_from(wire)
    start = 12 + len(parsed.question[0].name.to_wire()) + 4
    return wire[start:], (answer_count, authority_count)


def _lifetimes(records: bytes, count: int) -> tuple[int, ...]:
    """Where the lifetimes stand in records that we made."""
    found = []
    at = 0
    for _ in range(count):
        while (label := records[at]) and label < 0xC0:
            at += label + 1
        at += 2 if label else 1
        found.append(at + 4)
        at += _RECORD.size + _RECORD.unpack_from(records, at)[3]
    return tuple(found)
