from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.messages import Initiation, Response
from octelium.tunnel.wireguard.noise import CHAIN, NO_PSK, TRANSCRIPT, Initiator, Responder
from octelium.tunnel.wireguard.primitives import tai64n
from tests.tunnel.wireguard.worlds import key

MACS = bytes(32)
STAMP = tai64n(10**18)
ALICE, BOB = Identity(key("alice")), Identity(key("bob"))


def begin() -> tuple[Initiator, bytes]:
    handshake = Initiator(ALICE, BOB.public, 7)
    return handshake, handshake.initiate(STAMP) + MACS


def answer(message: bytes, psk: bytes = NO_PSK) -> tuple[bytes, bytes, bytes]:
    handshake = Responder(BOB, Initiation.parse(message))
    assert handshake.public == ALICE.public
    assert handshake.timestamp() == STAMP
    return handshake.respond(9, psk)


def test_the_first_hashes_are_the_protocols() -> None:
    assert CHAIN.hex() == "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36"
    assert TRANSCRIPT.hex() == "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3"


@pytest.mark.parametrize("psk", [NO_PSK, key("psk")])
def test_both_sides_have_the_same_keys(psk: bytes) -> None:
    handshake, message = begin()
    unsigned, send, receive = answer(message, psk)
    response = Response.parse(unsigned + MACS)
    assert (response.sender, response.receiver) == (9, 7)
    assert handshake.finish(response, psk) == (receive, send)
    assert send != receive


def test_each_handshake_has_keys_of_its_own() -> None:
    one, other = begin(), begin()
    assert one[1][8:40] != other[1][8:40]
    assert answer(one[1])[1:] != answer(one[1])[1:]
    assert BOB.public not in one[1]
    assert ALICE.public not in one[1]


def test_another_preshared_key_is_found_out_and_spoils_nothing() -> None:
    handshake, message = begin()
    wrong = Response.parse(answer(message, key("other"))[0] + MACS)
    right = answer(message, key("psk"))
    with pytest.raises(HandshakeError):
        handshake.finish(wrong, key("psk"))
    assert handshake.finish(Response.parse(right[0] + MACS), key("psk")) == right[:0:-1]


def test_a_message_for_somebody_else_does_not_open() -> None:
    message = Initiator(ALICE, Identity(key("carol")).public, 7).initiate(STAMP) + MACS
    with pytest.raises(HandshakeError):
        Responder(BOB, Initiation.parse(message))


def test_who_only_knows_a_public_key_cannot_claim_it() -> None:
    class Liar(Identity):
        pass

    liar = Liar(key("mallory"))
    liar.public = ALICE.public
    message = Initiator(liar, BOB.public, 7).initiate(STAMP) + MACS
    handshake = Responder(BOB, Initiation.parse(message))
    assert handshake.public == ALICE.public
    with pytest.raises(HandshakeError):
        handshake.timestamp()


@given(st.integers(8, 115), st.integers(1, 255))
def test_a_changed_initiation_is_refused(place: int, change: int) -> None:
    message = bytearray(begin()[1])
    message[place] ^= change
    # X25519 ignores the top bit of a public key; the transcript does not.
    with pytest.raises(HandshakeError):
        Responder(BOB, Initiation.parse(bytes(message))).timestamp()


@given(st.integers(12, 59), st.integers(1, 255))
def test_a_changed_response_is_refused(place: int, change: int) -> None:
    handshake, message = begin()
    response = bytearray(answer(message)[0] + MACS)
    response[place] ^= change
    with pytest.raises(HandshakeError):
        handshake.finish(Response.parse(bytes(response)), NO_PSK)


def test_points_of_small_order_are_refused() -> None:
    handshake, message = begin()
    zero = bytes(32)
    with pytest.raises(HandshakeError, match="small order"):
        Responder(BOB, Initiation(7, zero, bytes(48), bytes(28)))
    unsigned = answer(message)[0]
    parsed = Response.parse(unsigned + MACS)
    with pytest.raises(HandshakeError, match="small order"):
        handshake.finish(Response(parsed.sender, parsed.receiver, zero, parsed.empty), NO_PSK)
