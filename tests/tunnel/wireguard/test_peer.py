from octelium.tunnel.wireguard.constants import NEVER
from octelium.tunnel.wireguard.identity import cookie_key, mac1_key
from octelium.tunnel.wireguard.peer import Peer
from tests.tunnel.wireguard.worlds import key


def test_a_new_peer_waits_for_nothing() -> None:
    peer = Peer(key(1))
    assert peer.earliest() == peer.wake == NEVER
    peer.persistent_at = 5.0
    peer.keepalive_at = 3.0
    assert peer.earliest() == 3.0


def test_another_key_needs_another_cookie() -> None:
    peer = Peer(key(1))
    peer.cookie, peer.cookie_at, peer.last_mac1 = b"c", 1.0, b"m"
    peer.become(key(2))
    assert (peer.public, peer.mac1_key) == (key(2), mac1_key(key(2)))
    assert peer.cookie_key == cookie_key(key(2))
    assert (peer.cookie, peer.last_mac1) == (b"", b"")
