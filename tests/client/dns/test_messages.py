from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns.messages import (
    SMALLEST,
    UDP_SIZE,
    MessageError,
    Query,
    read_answer,
    read_query,
    seconds_kept,
)

NAME = "web.local.example.com."


def query(name: str = NAME, **options: object) -> Query:
    made = dns.message.make_query(name, "A", **options)  # type: ignore[arg-type]  # passed on
    return read_query(made.to_wire())


def answered(asked: Query, *records: str, ttl: int = 60) -> tuple[int, dns.message.Message]:
    number, wire = asked.onward()
    made = dns.message.make_response(dns.message.from_wire(wire))
    for text in records:
        kind, _, value = text.partition(" ")
        made.answer.append(dns.rrset.from_text(NAME, ttl, "IN", kind, value))
    return number, made


def test_a_question_goes_on_without_what_concerns_one_hop() -> None:
    made = dns.message.make_query(NAME, "A", use_edns=0, want_dnssec=True, payload=4096)
    made.flags |= dns.flags.CD
    made.use_edns(0, dns.flags.DO, 4096, options=[dns.edns.GenericOption("COOKIE", b"12345678")])
    numbers = set()
    for _ in range(20):
        number, wire = read_query(made.to_wire()).onward()
        onward = dns.message.from_wire(wire)
        assert onward.id == number
        assert onward.question == made.question
        assert onward.flags == made.flags
        assert onward.ednsflags & dns.flags.DO
        assert onward.options == ()
        assert onward.payload == UDP_SIZE
        numbers.add(number)
    assert len(numbers) > 15


def test_an_answer_fits_its_asker() -> None:
    asked = query(use_edns=False)
    assert asked.size == SMALLEST
    number, made = answered(asked, *[f'TXT "{"x" * 200}{each}"' for each in range(4)])
    wire = made.to_wire()
    assert read_answer(wire, number, asked) == (dns.rcode.NOERROR, False)
    small = dns.message.from_wire(asked.answer(wire, SMALLEST))
    assert len(asked.answer(wire, SMALLEST)) <= SMALLEST
    assert small.flags & dns.flags.TC
    assert small.id == asked.message.id
    whole = dns.message.from_wire(asked.answer(wire, 65_535, age=7))
    assert not whole.flags & dns.flags.TC
    assert whole.edns == -1
    assert sum(map(len, whole.answer)) == 4
    assert {records.ttl for records in whole.answer} == {53}
    assert {each.ttl for each in dns.message.from_wire(asked.answer(wire, 9999, 99)).answer} == {0}


def test_a_code_of_edns_is_not_sent_without_it() -> None:
    asked = query(use_edns=False)
    _, made = answered(asked)
    made.use_edns(0)
    made.set_rcode(dns.rcode.BADVERS)
    assert dns.message.from_wire(asked.answer(made.to_wire(), 512)).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("wrong", ["number", "question", "name", "kind", "none", "cut short"])
def test_answers_to_something_else(wrong: str) -> None:
    asked = query()
    number, made = answered(asked, "A 10.0.0.1")
    wire = made.to_wire()
    if wrong == "number":
        number ^= 1
    elif wrong == "question":
        wire = dns.message.make_query(NAME, "A", id=number).to_wire()
    elif wrong == "name":
        wire = wire.replace(b"\x03web", b"\x03wec")
    elif wrong == "kind":
        made.question[0].rdtype = dns.rdatatype.AAAA
        wire = made.to_wire()
    elif wrong == "none":
        made.question = []
        wire = made.to_wire()
    else:
        wire = wire[:-3]
    with pytest.raises(MessageError):
        read_answer(wire, number, asked)


def test_an_answer_that_was_cut_off_anywhere_is_asked_for_again() -> None:
    asked = query()
    number, made = answered(asked, "A 10.0.0.1")
    made.flags |= dns.flags.TC
    assert read_answer(made.to_wire()[:-3], number, asked)[1]


def test_what_is_refused() -> None:
    good = dns.message.make_query(NAME, "A", id=0x1234)
    update = bytearray(good.to_wire())
    update[2] |= 5 << 3
    two = bytearray(good.to_wire())
    two[5] = 2
    transfer = dns.message.make_query(NAME, "AXFR").to_wire()
    for wire, code in (
        (bytes(update), None),
        (bytes(two), dns.rcode.FORMERR),
        (transfer, dns.rcode.REFUSED),
    ):
        with pytest.raises(MessageError) as caught:
            read_query(wire)
        refusal = dns.message.from_wire(caught.value.refusal)
        assert refusal.flags & dns.flags.QR
        assert caught.value.refusal[:2] == wire[:2]
        assert refusal.rcode() != dns.rcode.NOERROR
        assert code is None or refusal.rcode() == code
    for silent in (b"", bytes(11), dns.message.make_response(good).to_wire(), bytes(5000)):
        with pytest.raises(MessageError) as caught:
            read_query(silent)
        assert caught.value.refusal == b""


def test_how_long_answers_are_kept() -> None:
    asked = query()
    assert seconds_kept(answered(asked, "A 10.0.0.1", ttl=60)[1].to_wire()) == 60
    assert seconds_kept(answered(asked, "A 10.0.0.1", ttl=99_999)[1].to_wire()) == 300
    _, nothing = answered(asked)
    assert seconds_kept(nothing.to_wire()) == 0
    nothing.authority = [dns.rrset.from_text("example.com.", 90, "IN", "SOA", "a. b. 1 2 3 4 20")]
    nothing.set_rcode(dns.rcode.NXDOMAIN)
    assert seconds_kept(nothing.to_wire()) == 20
    _, failed = answered(asked, "A 10.0.0.1")
    failed.set_rcode(dns.rcode.SERVFAIL)
    assert seconds_kept(failed.to_wire()) == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(wire: bytes) -> None:
    refusal: bytes | None = None
    try:
        read_query(wire).onward()
    except MessageError as error:
        refusal = error.refusal
    assert not refusal or (len(refusal), refusal[:2]) == (12, wire[:2])


@given(st.data())
def test_a_changed_answer_is_used_whole_or_not_at_all(data: st.DataObject) -> None:
    asked = query()
    number, made = answered(asked, "A 10.0.0.1", "TXT x")
    wire = bytearray(made.to_wire())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, is_cut = read_answer(bytes(wire), number, asked)
    except MessageError:
        return
    if not is_cut:
        assert 0 <= seconds_kept(bytes(wire)) <= 300
        assert asked.answer(bytes(wire), 512)[:2] == asked.message.id.to_bytes(2, "big")
