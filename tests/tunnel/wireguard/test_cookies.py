from __future__ import annotations

import pytest

from octelium.tunnel.wireguard.cookies import (
    COOKIE_LIFE,
    CookieMaker,
    accept_cookie,
    mac1_is_right,
    sign,
)
from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.messages import CookieReply
from octelium.tunnel.wireguard.peer import Peer
from tests.tunnel.wireguard.worlds import key

BOB = Identity(key("bob"))
PLACE = b"\x0a\0\0\1\0\1"
UNSIGNED = b"\1\0\0\0" + (77).to_bytes(4, "little") + bytes(108)


def test_mac1_is_of_the_receivers_public_key() -> None:
    message = sign(Peer(BOB.public), UNSIGNED, 0.0)
    assert len(message) == 148
    assert mac1_is_right(BOB, message)
    assert not mac1_is_right(Identity(key("carol")), message)
    assert not mac1_is_right(BOB, message[:8] + b"\1" + message[9:])


def test_a_cookie_proves_one_place_for_two_minutes() -> None:
    peer, maker = Peer(BOB.public), CookieMaker()
    first = sign(peer, UNSIGNED, 10.0)
    assert first[-16:] == bytes(16)
    assert not maker.proven(first, PLACE, 10.0)
    reply = CookieReply.parse(maker.reply(BOB, first, PLACE, 10.0))
    assert reply.receiver == 77
    accept_cookie(peer, reply, 11.0)
    second = sign(peer, UNSIGNED, 15.0)
    assert mac1_is_right(BOB, second)
    assert maker.proven(second, PLACE, 15.0)
    assert not maker.proven(second, PLACE[:-1] + b"\2", 15.0)
    assert not maker.proven(second[:-1] + bytes([second[-1] ^ 1]), PLACE, 15.0)
    assert maker.proven(second, PLACE, 10.0 + COOKIE_LIFE - 1)
    assert not maker.proven(second, PLACE, 10.0 + COOKIE_LIFE)
    assert sign(peer, UNSIGNED, 11.0 + COOKIE_LIFE)[-16:] == bytes(16)


def test_a_cookie_answers_one_message_once() -> None:
    peer, maker = Peer(BOB.public), CookieMaker()
    reply = CookieReply.parse(maker.reply(BOB, sign(peer, UNSIGNED, 0.0), PLACE, 0.0))
    sign(peer, UNSIGNED + b"later", 1.0)
    with pytest.raises(HandshakeError):
        accept_cookie(peer, reply, 1.0)
    reply = CookieReply.parse(maker.reply(BOB, sign(peer, UNSIGNED, 2.0), PLACE, 2.0))
    accept_cookie(peer, reply, 2.0)
    with pytest.raises(HandshakeError, match="not asked for"):
        accept_cookie(peer, reply, 2.0)


def test_forged_cookies_are_refused() -> None:
    peer, maker = Peer(BOB.public), CookieMaker()
    message = sign(peer, UNSIGNED, 0.0)
    stranger = maker.reply(Identity(key("mallory")), message, PLACE, 0.0)
    with pytest.raises(HandshakeError):
        accept_cookie(peer, CookieReply.parse(stranger), 0.0)
    good = maker.reply(BOB, message, PLACE, 0.0)
    with pytest.raises(HandshakeError):
        accept_cookie(peer, CookieReply.parse(good[:-1] + bytes([good[-1] ^ 1])), 0.0)
    assert peer.cookie == b""
    accept_cookie(peer, CookieReply.parse(good), 0.0)
