from __future__ import annotations

import secrets

import pytest

from octelium.tunnel.wireguard.constants import NEVER
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.indices import Indices
from octelium.tunnel.wireguard.keypair import Keypair
from octelium.tunnel.wireguard.noise import Initiator
from octelium.tunnel.wireguard.peer import Peer
from tests.tunnel.wireguard.worlds import key

PEER = Identity(key("peer")).public


def session(peer: Peer, index: int, *, initiator: bool) -> Keypair:
    return Keypair(
        peer,
        index=index,
        remote=0,
        send=key(1),
        receive=key(2),
        initiator=initiator,
        dies=NEVER,
        renew=NEVER,
        last_minute=NEVER,
    )


def state(peer: Peer) -> list[int | None]:
    return [one and one.index for one in (peer.previous, peer.current, peer.next)]


def test_indices_in_use_are_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    indices, peer = Indices(), Peer(PEER)
    indices.keypairs[5] = session(peer, 5, initiator=True)
    indices.handshakes[6] = peer
    draws = iter([5, 6, 5, 7])
    monkeypatch.setattr(secrets, "randbits", lambda bits: next(draws))
    assert indices.fresh() == 7


def test_an_initiator_sends_in_the_new_session_at_once() -> None:
    indices, peer = Indices(), Peer(PEER)
    for index in (1, 2, 3):
        indices.rotate(peer, session(peer, index, initiator=True))
    assert state(peer) == [2, 3, None]
    assert set(indices.keypairs) == {2, 3}
    assert indices.peer(3) is peer
    assert indices.peer(1) is None


def test_a_responder_waits_for_the_first_message() -> None:
    indices, peer = Indices(), Peer(PEER)
    indices.rotate(peer, session(peer, 1, initiator=False))
    assert state(peer) == [None, None, 1]
    indices.confirm(peer)
    assert state(peer) == [None, 1, None]
    indices.rotate(peer, session(peer, 2, initiator=False))
    indices.rotate(peer, session(peer, 3, initiator=False))
    assert state(peer) == [None, 1, 3]
    assert set(indices.keypairs) == {1, 3}
    indices.confirm(peer)
    assert state(peer) == [1, 3, None]
    # A session of before that was still there ends with the confirmation.
    indices.rotate(peer, session(peer, 4, initiator=True))
    indices.rotate(peer, session(peer, 5, initiator=False))
    indices.rotate(peer, session(peer, 6, initiator=True))
    assert state(peer) == [4, 6, 5]
    indices.confirm(peer)
    assert state(peer) == [6, 5, None]
    assert set(indices.keypairs) == {5, 6}


@pytest.mark.parametrize("initiator", [True, False])
def test_a_session_that_another_follows_holds_no_ciphers(initiator: bool) -> None:
    indices, peer = Indices(), Peer(PEER)
    for index in (1, 2):
        keypair = session(peer, index, initiator=initiator)
        indices.rotate(peer, keypair)
        if not initiator:
            indices.confirm(peer)
        keypair.sending()
        keypair.receiving()
    ciphers = [
        (each.encrypt is not None, each.decrypt is not None)
        for each in (peer.previous, peer.current)
        if each is not None
    ]
    assert ciphers == [(False, False), (True, True)]


def test_handshakes_that_cross_lose_no_session() -> None:
    indices, peer = Indices(), Peer(PEER)
    indices.rotate(peer, session(peer, 1, initiator=True))
    indices.rotate(peer, session(peer, 2, initiator=False))
    indices.rotate(peer, session(peer, 3, initiator=True))
    assert state(peer) == [1, 3, 2]
    assert len(indices) == 3


def test_all_of_a_peer_goes_at_once() -> None:
    indices, peer = Indices(), Peer(PEER)
    indices.rotate(peer, session(peer, 1, initiator=True))
    indices.rotate(peer, session(peer, 2, initiator=False))
    peer.pending = Initiator(Identity(key("a")), PEER, 9)
    indices.handshakes[9] = peer
    assert indices.peer(9) is peer
    indices.end_all(peer)
    assert len(indices) == 0
    assert state(peer) == [None, None, None]
    indices.end_all(peer)
