from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.admission import MAX_FORMER, Admission, Identities
from octelium.tunnel.wireguard.cookies import accept_cookie, sign
from octelium.tunnel.wireguard.counters import Counters
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.load import Limits
from octelium.tunnel.wireguard.messages import CookieReply
from octelium.tunnel.wireguard.outbox import Outbox
from octelium.tunnel.wireguard.peer import Peer
from tests.tunnel.wireguard.worlds import flat, key

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.endpoints import Endpoint

BOB = Identity(key("bob"))
HERE: Endpoint = ("10.0.0.1", 1)
UNSIGNED = b"\1\0\0\0" + bytes(112)


class Load:
    def __init__(self, *, load: bool) -> None:
        self.load = load
        self.asked = 0

    def arrived(self, now: float) -> bool:
        self.asked += 1
        return self.load


class Gate:
    def __init__(self, *, load: bool, limits: Limits | None = None) -> None:
        self.counters, self.outbox = Counters(), Outbox()
        self.gauge = Load(load=load)
        self.admission = Admission(self.counters, self.outbox, limits or Limits(), self.gauge)

    def admit(self, message: bytes, source: Endpoint = HERE, now: float = 1.0) -> Identity | None:
        return self.admission.admit_initiation([BOB], message, source, now)

    def proven(self, peer: Peer, source: Endpoint = HERE) -> bytes:
        """A message with the cookie of `source`."""
        self.gauge.load = True
        assert self.admit(sign(peer, UNSIGNED, 1.0), source) is None
        ((_, reply),) = flat(self.outbox.drain())
        accept_cookie(peer, CookieReply.parse(reply), 1.0)
        return sign(peer, UNSIGNED, 1.0)


def test_without_load_mac1_is_enough() -> None:
    gate = Gate(load=False)
    assert gate.admit(sign(Peer(BOB.public), UNSIGNED, 0.0)) is BOB
    assert gate.outbox.drain() == []


def test_a_wrong_mac1_is_not_even_counted_as_load() -> None:
    gate = Gate(load=True)
    for _ in range(5):
        assert gate.admit(sign(Peer(key("other")), UNSIGNED, 0.0)) is None
    assert gate.counters.bad_mac1 == 5
    assert gate.gauge.asked == 0
    assert gate.outbox.drain() == []


def test_under_load_a_place_must_be_proven() -> None:
    gate = Gate(load=True)
    message = gate.proven(Peer(BOB.public))
    assert gate.counters.cookies_sent == 1
    assert gate.admit(message) is BOB
    assert gate.admit(message, ("10.0.0.2", 1)) is None
    ((place, reply),) = flat(gate.outbox.drain())
    assert place == ("10.0.0.2", 1)
    assert len(reply) < len(message)


def test_budgets_per_source_and_in_all() -> None:
    gate = Gate(load=True, limits=Limits(per_source=5, answered=8))
    one = gate.proven(Peer(BOB.public))
    other = gate.proven(Peer(BOB.public), ("10.0.0.2", 1))
    assert sum(gate.admit(one) is BOB for _ in range(20)) == 5
    assert sum(gate.admit(other, ("10.0.0.2", 1)) is BOB for _ in range(20)) == 3
    assert gate.counters.overload == 32


def test_cookie_replies_have_a_budget() -> None:
    gate = Gate(load=True, limits=Limits(cookies=3))
    message = sign(Peer(BOB.public), UNSIGNED, 0.0)
    for _ in range(10):
        assert gate.admit(message) is None
    assert len(flat(gate.outbox.drain())) == 3
    assert (gate.counters.cookies_sent, gate.counters.overload) == (3, 7)


def test_responses_need_no_cookie_but_have_a_budget() -> None:
    gate = Gate(load=True, limits=Limits(answered=4))
    message = sign(Peer(BOB.public), UNSIGNED, 0.0)
    wrong = sign(Peer(key("other")), UNSIGNED, 0.0)
    assert not gate.admission.admit_response(BOB, wrong, 1.0)
    assert sum(gate.admission.admit_response(BOB, message, 1.0) for _ in range(9)) == 4
    assert (gate.counters.bad_mac1, gate.counters.overload) == (1, 5)


def test_former_keys_are_few_and_end() -> None:
    identities = Identities(Identity(key(0)))
    for number in range(1, 10):
        identities.replace(Identity(key(number)), 100.0 + number)
    accepted = identities.accepted(50.0)
    assert accepted[0].public == Identity(key(9)).public
    assert len(accepted) == 1 + MAX_FORMER
    # What was replaced last ends last.
    assert [one.public for one in identities.accepted(108.5)] == [
        Identity(key(9)).public,
        Identity(key(8)).public,
    ]
    assert len(identities.accepted(200.0)) == 1
    assert identities.accepted(50.0) == [identities.present]


def test_secrets_shared_with_a_peer_go_with_it() -> None:
    identities = Identities(Identity(key(0)))
    secret = identities.present.shared(BOB.public)
    identities.replace(Identity(key(1)), 100.0)
    identities.forget(BOB.public)
    assert identities.former[0].shared(BOB.public) is not secret
