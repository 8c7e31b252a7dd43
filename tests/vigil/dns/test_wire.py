from __future__ import annotations

import contextlib
import struct

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.vigil.dns.wire import (
    BADVERS,
    FORMERR,
    NOTIMP,
    NXDOMAIN,
    UDP_SIZE,
    Answer,
    BadQueryError,
    IgnoredError,
    Query,
    assemble,
    labels_of,
    parse_query,
    record,
    text_name,
    wire_name,
)
from tests.vigil.dns.world import wire_form

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=6)
NAMES = LABELS.filter(lambda labels: sum(map(len, labels)) + len(labels) < 255).map(tuple)


def query(name: str = "Wiki.local", kind: str = "A", **options: object) -> dns.message.QueryMessage:
    return dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]


def test_a_plain_question() -> None:
    asked = parse_query(query().to_wire())
    assert asked.name == b"\x04wiki\x05local\0"
    assert asked.question == b"\x04Wiki\x05local\0\0\1\0\1"
    assert (asked.type, asked.dns_class, asked.edns, asked.size) == (1, 1, False, 512)
    assert not asked.unchecked
    assert not asked.wants_authentic


def test_a_question_with_edns() -> None:
    options = [
        dns.edns.GenericOption("COOKIE", b"12345678"),
        dns.edns.GenericOption("ECS", b"\0\1\0\0"),
    ]
    made = query("a.b", "HTTPS", use_edns=0, payload=4096, want_dnssec=True, options=options)
    made.flags |= dns.flags.CD | dns.flags.AD
    asked = parse_query(made.to_wire())
    assert (asked.type, asked.edns, asked.size, asked.dnssec) == (65, True, UDP_SIZE, True)
    assert asked.unchecked
    assert asked.wants_authentic
    assert parse_query(query(use_edns=0, payload=100).to_wire()).size == 512
    assert parse_query(query(use_edns=0, payload=700).to_wire()).size == 700


def head(flags: int = 0x0100, *counts: int) -> bytes:
    return struct.pack("!6H", 77, flags, *(counts or (1, 0, 0, 0)))


QUESTION = b"\x01a\0\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (head(0x0100, 0, 0, 0, 0), FORMERR),
        (head(0x0100, 2, 0, 0, 0) + QUESTION * 2, FORMERR),
        (head(0x0100, 1, 1, 0, 0) + QUESTION, FORMERR),
        (head(0x0100, 1, 0, 1, 0) + QUESTION, FORMERR),
        (head(0x0100, 1, 0, 0, 9) + QUESTION, FORMERR),
        (head() + b"\x01a\0\0\1\0", FORMERR),
        (head() + b"\x05ab", FORMERR),
        (head() + b"\xc0\x0c\0\1\0\1", FORMERR),
        (head() + b"\x41" + b"a" * 65 + b"\0\0\1\0\1", FORMERR),
        (head() + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", FORMERR),
        (head() + QUESTION + b"\0", FORMERR),
        (head(0x0100, 1, 0, 0, 1) + QUESTION, FORMERR),
        (head(0x0100, 1, 0, 0, 2) + QUESTION + OPT * 2, FORMERR),
        (head(0x0100, 1, 0, 0, 1) + QUESTION + b"\1a" + OPT, FORMERR),
        (head(0x0100, 1, 0, 0, 1) + QUESTION + OPT[:-1] + b"\5abc", FORMERR),
        (head(0x0100, 1, 0, 0, 1) + QUESTION + OPT[:-1] + b"\3\0\1\0", FORMERR),
        (head(0x0100, 1, 0, 0, 1) + QUESTION + b"\xc0\x20" + b"\0\1\0\1\0\0\0\0\0\0", FORMERR),
        (head(0x2900), NOTIMP),
        (head(0x1000) + QUESTION, NOTIMP),
    ],
)
def test_bad_queries_are_told_so(data: bytes, rcode: int) -> None:
    with pytest.raises(BadQueryError) as caught:
        parse_query(data)
    assert caught.value.rcode == rcode
    reply = dns.message.from_wire(caught.value.reply)
    assert (reply.id, reply.rcode()) == (77, rcode)
    assert reply.flags & dns.flags.QR
    assert len(caught.value.reply) <= len(data)


def test_another_version_of_edns() -> None:
    made = query(use_edns=0)
    made.ednsflags |= 1 << 16
    with pytest.raises(BadQueryError) as caught:
        parse_query(made.to_wire())
    reply = dns.message.from_wire(caught.value.reply)
    assert (caught.value.rcode, reply.rcode(), reply.edns) == (BADVERS, BADVERS, 0)
    assert made.is_response(reply)


@pytest.mark.parametrize("data", [b"", b"\0" * 11, head(0x8180) + QUESTION, head(0xFFFF)])
def test_what_is_no_query_gets_nothing(data: bytes) -> None:
    with pytest.raises(IgnoredError):
        parse_query(data)


def accepted_by_dnspython(data: bytes) -> dns.message.Message | None:
    with contextlib.suppress(dns.exception.DNSException, ValueError):
        made = dns.message.from_wire(data)
        if made.opcode() == dns.opcode.QUERY and not made.flags & dns.flags.QR:
            return made
    return None


def agree(data: bytes) -> None:
    """What we take, dnspython takes, with the same meaning."""
    try:
        asked = parse_query(data)
    except (IgnoredError, BadQueryError):
        return
    known = accepted_by_dnspython(data)
    if known is None:
        # Additional records that nobody looks at need not be sound inside.
        assert struct.unpack_from("!H", data, 10)[0] > (1 if asked.edns else 0)
        return
    (question,) = known.question
    assert wire_form(question.name.to_text()) == asked.name
    assert int(question.rdtype) == asked.type
    assert asked.edns == (known.edns == 0)
    if asked.edns:
        assert asked.size == min(max(known.payload, 512), UDP_SIZE)
        assert asked.dnssec == bool(known.ednsflags & dns.flags.DO)
    reply = dns.message.from_wire(assemble(asked, Answer(NXDOMAIN), 512))
    assert known.is_response(reply)
    assert reply.rcode() == NXDOMAIN
    assert reply.edns == known.edns


@given(
    st.binary(max_size=120),
    st.integers(0, 65535),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_whatever_comes_is_read_as_others_read_it(
    rest: bytes, flags: int, counts: list[int]
) -> None:
    agree(rest)
    agree(struct.pack("!6H", 1, flags & 0x07FF, *counts) + rest)


@given(NAMES, st.integers(0, 65535), st.booleans(), st.integers(0, 65535), st.data())
def test_queries_that_were_changed_a_little(
    labels: tuple[bytes, ...], kind: int, edns: bool, size: int, data: st.DataObject
) -> None:
    name = dns.name.Name([*labels, b""])
    made = dns.message.make_query(name, kind, use_edns=0 if edns else None, payload=size)  # type: ignore[arg-type]
    wire = bytearray(made.to_wire())
    asked = parse_query(bytes(wire))
    assert labels_of(asked.name) == tuple(label.lower() for label in labels)
    assert asked.type == kind
    agree(bytes(wire))
    for _ in range(data.draw(st.integers(0, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    agree(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


@given(NAMES)
def test_names_are_written_as_dnspython_does(labels: tuple[bytes, ...]) -> None:
    name = dns.name.Name([*labels, b""])
    assert wire_name(labels) == name.to_wire()
    assert labels_of(wire_name(labels)) == labels
    assert text_name(labels) == name.to_text()


def asked(**options: object) -> Query:
    return parse_query(query(**options).to_wire())  # type: ignore[arg-type]


def test_an_answer_keeps_the_case_of_the_question() -> None:
    records = record(0, 1, 30, b"\x7f\0\0\1")
    wire = assemble(asked(), Answer(0, records, (1, 0), True, text="x"), 512)
    reply = dns.message.from_wire(wire)
    assert reply.question[0].name.to_text() == "Wiki.local."
    assert b"Wiki" in wire
    assert reply.answer == [dns.rrset.from_text("wiki.local.", 30, "IN", "A", "127.0.0.1")]
    assert reply.flags & dns.flags.AA
    assert reply.flags & dns.flags.RA
    assert reply.flags & dns.flags.RD
    assert reply.edns == -1


def test_what_does_not_fit_is_left_out_whole() -> None:
    records = record(0, 16, 30, b"\xff" + b"x" * 255) * 4
    whole = Answer(0, records, (4, 0))
    for size, options in ((512, {}), (1000, {"use_edns": 0, "payload": 1000})):
        one = asked(**options)
        wire = assemble(one, whole, one.size)
        reply = dns.message.from_wire(wire)
        assert len(wire) <= size
        assert reply.flags & dns.flags.TC
        assert not reply.answer
    reply = dns.message.from_wire(assemble(asked(), whole, 65535))
    assert not reply.flags & dns.flags.TC
    assert len(reply.answer[0]) == 1  # four times the same


def test_authenticity_is_told_to_those_who_understand_it() -> None:
    signed = Answer(0, authentic=True)
    assert not dns.message.from_wire(assemble(asked(), signed, 512)).flags & dns.flags.AD
    reply = dns.message.from_wire(assemble(asked(want_dnssec=True), signed, 512))
    assert reply.flags & dns.flags.AD
    assert reply.ednsflags & dns.flags.DO


def test_extended_errors_go_to_those_who_know_edns() -> None:
    failed = Answer(2, error=17)
    reply = dns.message.from_wire(assemble(asked(use_edns=0), failed, 512))
    (option,) = reply.options
    assert isinstance(option, dns.edns.EDEOption)
    assert option.code == 17
    assert dns.message.from_wire(assemble(asked(), failed, 512)).edns == -1
