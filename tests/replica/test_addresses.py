"""Addresses of the private network have one reading and one owner."""

from __future__ import annotations

import ipaddress
import logging
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.replica.addresses import AddressIndex, hosts, packed, text

A, B, C = (packed(one) or b"" for one in ("100.65.0.1", "100.65.0.2", "fdee:1::1"))


class One:
    kind: ClassVar[str] = "Session"

    def __init__(self, uid: str, *addresses: bytes, claimed_at: float = 0.0) -> None:
        self.uid = self.name = uid
        self.addresses = addresses
        self.claimed_at = claimed_at


@given(st.ip_addresses())
def test_text_and_bytes_are_the_same(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        assert packed(str(address)) is None
    else:
        assert packed(str(address)) == address.packed
        assert packed(text(address.packed)) == address.packed


@given(st.text(max_size=50) | st.text("0123456789abcdef.:%/x", max_size=50))
def test_what_is_read_is_an_address(address: str) -> None:
    made = packed(address)
    if made is not None:
        assert ipaddress.ip_address(address).packed == made


@pytest.mark.parametrize(
    "address",
    [
        *("", "1", "100.65.1", "0100.65.0.1", "100.65.0.1 ", "100.65.0.1/32", "0x64.65.0.1"),
        *("::ffff:100.65.0.1", "fe80::1%eth0", "[::1]", "100.65.0.1\0", "\uff11.2.3.4"),
    ],
)
def test_other_forms(address: str) -> None:
    assert packed(address) is None


def test_addresses_of_a_resource(caplog: pytest.LogCaptureFixture) -> None:
    assert hosts("x", ["100.65.0.1/32", "fdee:1::1/128", "", "100.65.0.1"]) == (A, C)
    assert not caplog.records
    assert hosts("Session bad", ["100.65.0.0/16", "fdee::/64", "100.65.0.1/128", "no"]) == ()
    assert len(caplog.records) == 4
    assert "Session bad" in caplog.text


def test_coming_and_going() -> None:
    index: AddressIndex[One] = AddressIndex()
    first = One("first", A, C)
    index.put(None, first, 1)
    assert index.at(A) is index.at("100.65.0.1") is index.at("fdee:1:0::1") is first
    second = One("first", B, C)
    index.put(first, second, 2)
    assert index.at(A) is None
    assert index.at(B) is index.at(C) is second
    index.put(second, None, 3)
    assert len(index) == 0
    assert index.at("nonsense") is None


def test_the_later_claim_wins_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    index: AddressIndex[One] = AddressIndex()
    first, second = One("first", A, B, claimed_at=9), One("second", A)
    index.put(None, first, 1)
    index.put(None, second, 2)
    assert index.at(A) is second
    assert index.at(B) is first
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    renewed = One("first", A, B, claimed_at=9)
    index.put(first, renewed, 3)  # says nothing new: no claim
    assert index.at(A) is second
    assert index.at(B) is renewed
    index.put(renewed, None, 4)
    assert index.at(A) is second
    assert index.at(B) is None
    index.put(second, None, 5)
    assert len(index) == 0


def test_one_commit_has_one_winner_in_any_order() -> None:
    for order in ((0, 1), (1, 0)):
        index: AddressIndex[One] = AddressIndex()
        claims = (One("early", A, claimed_at=1.0), One("late", A, claimed_at=2.0))
        for number in order:
            index.put(None, claims[number], 7)
        assert index.at(A) is claims[1]


def test_passing_an_address_on_in_one_commit() -> None:
    for order in (("old", "new"), ("new", "old")):
        index: AddressIndex[One] = AddressIndex()
        old, new = One("old", A), One("new", A)
        index.put(None, old, 1)
        for uid in order:
            if uid == "old":
                index.put(old, One("old"), 2)
            else:
                index.put(None, new, 2)
        assert index.at(A) is new


@given(
    st.lists(
        st.tuples(st.sampled_from("stuv"), st.lists(st.sampled_from((A, B, C)), unique=True)),
        max_size=30,
    )
)
def test_an_address_belongs_to_one_that_has_it(changes: list[tuple[str, list[bytes]]]) -> None:
    index: AddressIndex[One] = AddressIndex()
    here: dict[str, One] = {}
    for revision, (uid, addresses) in enumerate(changes, 1):
        entry = One(uid, *addresses)
        index.put(here.get(uid), entry, revision)
        for address in addresses:
            if uid not in here or address not in here[uid].addresses:
                assert index.at(address) is entry  # a new claim always wins
        here[uid] = entry
        for address in (A, B, C):
            holder = index.at(address)
            assert holder is None or (holder is here[holder.uid] and address in holder.addresses)
    other: AddressIndex[One] = AddressIndex()
    index.copy_to(other)
    assert [other.at(a) for a in (A, B, C)] == [index.at(a) for a in (A, B, C)]
    for uid, entry in here.items():
        index.put(entry, None, len(changes) + 1)
        assert all(one is None or one.uid != uid for one in map(index.at, (A, B, C)))
    assert len(index) == 0
    assert not index._claimed
