from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.admission import Admission, Ticket, peer_key, plain_address


def test_what_one_peer_is() -> None:
    assert peer_key("192.0.2.1") != peer_key("192.0.2.2")
    assert peer_key("2001:db8::1") == peer_key("2001:db8:0:0:ffff::1")
    assert peer_key("2001:db8::1") != peer_key("2001:db8:0:1::1")


@pytest.mark.parametrize(
    ("address", "plain"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1")],
)
def test_plain_addresses(address: str, plain: str) -> None:
    assert plain_address(address) == plain


def enter(admission: Admission, address: str) -> Ticket | None:
    ticket = admission.enter()
    if ticket is None or not ticket.name(address):
        if ticket is not None:
            ticket.leave()
        return None
    return ticket


def test_unauthenticated_connections_of_one_peer_are_bounded() -> None:
    admission = Admission(100, 2)
    first, second = enter(admission, "192.0.2.1"), enter(admission, "192.0.2.1")
    assert first is not None
    assert second is not None
    assert enter(admission, "192.0.2.1") is None
    assert enter(admission, "192.0.2.2") is not None
    first.authenticated()
    third = enter(admission, "192.0.2.1")
    assert third is not None
    assert enter(admission, "192.0.2.1") is None
    second.leave()
    second.leave()
    assert enter(admission, "192.0.2.1") is not None
    assert admission.unauthenticated == 3
    assert admission.connections == 4


def test_all_connections_are_bounded() -> None:
    admission = Admission(2, 100)
    tickets = [enter(admission, f"192.0.2.{n}") for n in range(3)]
    assert tickets[2] is None
    assert tickets[0] is not None
    tickets[0].leave()
    assert enter(admission, "192.0.2.9") is not None


@given(st.lists(st.tuples(st.sampled_from(["enter", "know", "leave"]), st.integers(0, 3))))
def test_nothing_is_counted_twice_or_forgotten(steps: list[tuple[str, int]]) -> None:
    admission = Admission(10, 3)
    inside: list[tuple[Ticket, str]] = []
    for step, number in steps:
        address = f"192.0.2.{number}"
        if step == "enter":
            ticket = enter(admission, address)
            if ticket is not None:
                inside.append((ticket, address))
        elif inside:
            ticket, address = inside[number % len(inside)]
            if step == "know":
                ticket.authenticated()
            else:
                ticket.leave()
                inside.remove((ticket, address))
        assert admission.connections == len(inside) <= 10
        assert admission.unauthenticated <= len(inside)
    for ticket, _ in inside:
        ticket.leave()
    assert (admission.connections, admission.unauthenticated) == (0, 0)
