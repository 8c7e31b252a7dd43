from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.vigil.dns.answers import (
    FILTERED,
    BadAnswerError,
    Question,
    Received,
    is_truncated,
    read_answer,
)
from octelium.vigil.dns.guard import Guard
from octelium.vigil.dns.wire import NXDOMAIN, SERVFAIL, Answer, assemble, parse_query
from tests.peers.timing import within
from tests.vigil.dns.world import wire_form

if TYPE_CHECKING:
    from collections.abc import Sequence

GUARD = Guard([ipaddress.ip_network("100.64.0.0/16")], lambda name: name[-1:] == (b"local",))
SOA = "ns.example. host.example. 1 2 3 4 {}"


def question(name: str = "www.example.com", kind: str = "A", **options: bool) -> Question:
    return Question(wire_form(name), int(dns.rdatatype.from_text(kind)), **options)


def response(
    asked: Question,
    answer: Sequence[tuple[str, int, str, str]] = (),
    authority: Sequence[tuple[str, int, str, str]] = (),
    additional: Sequence[tuple[str, int, str, str]] = (),
    rcode: int = 0,
) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(b"\0\1" + asked.message(1232)))
    for section, records in zip(
        (made.answer, made.authority, made.additional), (answer, authority, additional), strict=True
    ):
        for name, ttl, kind, text in records:
            section.append(dns.rrset.from_text(name, ttl, "IN", kind, text))
    made.set_rcode(dns.rcode.Rcode(rcode))
    return made.to_wire()


def shown(received: Received, asked: Question, seconds: int = 0) -> dns.message.Message:
    """What a client gets."""
    name, _ = dns.name.from_wire(asked.name, 0)
    query = dns.message.make_query(name, asked.type, want_dnssec=asked.dnssec)  # type: ignore[arg-type]
    made = assemble(parse_query(query.to_wire()), received.aged(seconds), 65535)
    return dns.message.from_wire(made)


def read(asked: Question, message: bytes) -> Received:
    assert asked.is_answered_by(message)
    return read_answer(message, asked, GUARD)


def test_an_answer() -> None:
    asked = question()
    received = read(asked, response(asked, [("www.example.com.", 300, "A", "192.0.2.1")]))
    assert received.seconds == 300
    assert received.answer.text == "192.0.2.1"
    assert not received.answer.authoritative
    reply = shown(received, asked, 10)
    assert reply.answer == [dns.rrset.from_text("www.example.com.", 0, "IN", "A", "192.0.2.1")]
    assert reply.answer[0].ttl == 290
    assert shown(received, asked, 1000).answer[0].ttl == 0


def test_aliases_are_followed_and_strangers_left_out() -> None:
    asked = question()
    received = read(
        asked,
        response(
            asked,
            [
                ("www.example.com.", 300, "CNAME", "cdn.example.net."),
                ("bank.example.", 86400, "A", "192.0.2.66"),
                ("cdn.example.net.", 20, "A", "192.0.2.1"),
            ],
            [("com.", 86400, "NS", "ns.evil.example.")],
            [("bank.example.", 86400, "A", "192.0.2.66")],
        ),
    )
    reply = shown(received, asked)
    assert [found.name.to_text() for found in reply.answer] == [
        "www.example.com.",
        "cdn.example.net.",
    ]
    assert not reply.authority
    assert not reply.additional
    assert received.seconds == 20
    assert received.answer.text == "cdn.example.net."


def test_an_alias_that_is_asked_for_is_not_followed() -> None:
    asked = question(kind="CNAME")
    received = read(asked, response(asked, [("www.example.com.", 30, "CNAME", "a.example.")]))
    assert received.seconds == 30
    assert received.answer.counts == (1, 0)


def test_circles_of_aliases_end() -> None:
    asked = question("a.example")
    received = read(
        asked,
        response(
            asked,
            [("a.example.", 9, "CNAME", "b.example."), ("b.example.", 9, "CNAME", "a.example.")],
        ),
    )
    assert received.seconds == 0  # there is no address and nobody says for how long
    assert received.answer.counts[0] == 2


@pytest.mark.parametrize(("rcode", "name"), [(0, "www.example.com"), (3, "www.example.com")])
def test_denials_are_kept_as_their_soa_says(rcode: int, name: str) -> None:
    asked = question(name)
    message = response(asked, (), [("example.com.", 120, "SOA", SOA.format(60))], rcode=rcode)
    received = read(asked, message)
    assert received.seconds == 60
    reply = shown(received, asked)
    assert reply.rcode() == rcode
    assert [found.rdtype for found in reply.authority] == [dns.rdatatype.SOA]
    message = response(asked, (), [("example.com.", 30, "SOA", SOA.format(60))], rcode=rcode)
    assert read(asked, message).seconds == 30
    assert read(asked, response(asked, rcode=rcode)).seconds == 0
    foreign = [("example.net.", 120, "SOA", SOA.format(60))]
    received = read(asked, response(asked, (), foreign, rcode=rcode))
    assert received.seconds == 0
    assert not shown(received, asked).authority


def test_signatures_go_to_those_who_want_them() -> None:
    signature = "A 13 3 300 20300101000000 20200101000000 1 example.com. AAAA"
    records = [
        ("www.example.com.", 300, "A", "192.0.2.1"),
        ("www.example.com.", 300, "RRSIG", signature),
    ]
    nsec = [
        ("example.com.", 60, "SOA", SOA.format(60)),
        ("a.example.com.", 60, "NSEC", "z.example.com. A"),
    ]
    for dnssec in (True, False):
        asked = question(dnssec=dnssec)
        received = read(asked, response(asked, records))
        assert received.answer.counts == (2, 0)
        received = read(asked, response(asked, (), nsec, rcode=3))
        assert received.answer.counts == (0, 2 if dnssec else 1)


@pytest.mark.parametrize(
    "answer",
    [
        [("www.example.com.", 300, "A", "100.64.0.9")],
        [("www.example.com.", 1, "A", "192.0.2.1"), ("x.example.", 1, "A", "100.64.0.9")],
        [("www.example.com.", 1, "CNAME", "wiki.local."), ("wiki.local.", 1, "A", "192.0.2.1")],
    ],
)
def test_answers_that_point_into_the_cluster_fail(answer: list[tuple[str, int, str, str]]) -> None:
    asked = question()
    received = read(asked, response(asked, answer))
    assert (received.answer.rcode, received.answer.error) == (SERVFAIL, FILTERED)
    assert received.answer.records == b""


@pytest.mark.parametrize("rcode", [1, 2, 4, 5, 9])
def test_failures_are_no_answers(rcode: int) -> None:
    asked = question()
    with pytest.raises(BadAnswerError, match=f"code {rcode}"):
        read(asked, response(asked, rcode=rcode))


def test_huge_answers_are_not_read() -> None:
    asked = question()
    message = bytearray(response(asked))
    message[6:8] = (4000).to_bytes(2, "big")
    with within(1), pytest.raises(BadAnswerError, match="4001 records"):
        read(asked, bytes(message))


def test_lifetimes_beyond_31_bits_are_none() -> None:
    asked = question()
    message = bytearray(response(asked, [("www.example.com.", 7, "A", "192.0.2.1")]))
    at = message.index(b"\0\1\0\1\0\0\0\7")
    message[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    assert read(asked, bytes(message)).seconds == 0


def test_what_is_no_response_to_the_question() -> None:
    asked = question()
    right = response(asked)
    assert asked.is_answered_by(right)
    assert asked.is_answered_by(right[:12] + b"\3WWW" + right[16:])
    for wrong in (
        b"",
        right[:11],
        right[:2] + b"\1\0" + right[4:],  # a query
        right[:2] + b"\xa0\0" + right[4:],  # another opcode
        right[:4] + b"\0\2" + right[6:],
        response(question("www.example.net")),
        response(question(kind="AAAA")),
        right[:30],
    ):
        assert not asked.is_answered_by(wrong)


def test_truncation_is_seen() -> None:
    right = response(question())
    assert not is_truncated(right)
    assert is_truncated(right[:2] + bytes((right[2] | 2,)) + right[3:])


def test_the_question_as_it_is_sent() -> None:
    for dnssec in (True, False):
        asked = question(dnssec=dnssec, unchecked=dnssec)
        sent = dns.message.from_wire(b"\0\1" + asked.message(1232))
        assert sent.question[0].name.to_text() == "www.example.com."
        assert sent.payload == 1232
        assert bool(sent.ednsflags & dns.flags.DO) == dnssec
        assert bool(sent.flags & dns.flags.CD) == dnssec
        assert sent.flags & dns.flags.RD


@given(st.data())
def test_damaged_answers_are_refused_or_harmless(data: st.DataObject) -> None:
    asked = question()
    wire = bytearray(
        response(
            asked,
            [
                ("www.example.com.", 300, "CNAME", "b.example.com."),
                ("b.example.com.", 300, "A", "192.0.2.1"),
            ],
            [("example.com.", 60, "SOA", SOA.format(60))],
        )
    )
    start = 12 + len(asked.wire)
    for _ in range(data.draw(st.integers(1, 6))):
        wire[data.draw(st.integers(start, len(wire) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(
        st.sampled_from([len(wire), len(wire), data.draw(st.integers(start, len(wire)))])
    )
    try:
        received = read_answer(bytes(wire[:cut]), asked, GUARD)
    except BadAnswerError:
        return
    assert received.answer.rcode in (0, NXDOMAIN, SERVFAIL)
    reply = shown(received, asked, 5)
    for found in reply.answer:
        for one in found:
            assert not GUARD.refuses(int(one.rdtype), one)


def test_an_answer_ages_only_where_lifetimes_stand() -> None:
    received = Received(Answer(0, b"abcdefgh", (1, 0)), 10, ())
    assert received.aged(5) is received.answer
    assert received.aged(0) is received.answer
