from __future__ import annotations

from octelium.http.exchange import Failure, Peer, UpstreamError
from octelium.replica.arrival import FrontDoor


def test_a_failure_says_what_and_why() -> None:
    assert str(UpstreamError(Failure.TLS)) == "TLS with the upstream failed"
    error = UpstreamError(Failure.CLOSED, "too early", stale=True)
    assert str(error) == "upstream closed the connection: too early"
    assert error.stale
    assert not error.untouched


def test_a_peer_is_not_admitted_by_itself() -> None:
    peer = Peer(FrontDoor("192.0.2.1", 1), number=7, secure=True)
    assert peer.admitted is None
    assert peer.certificate is None
    assert (peer.number, peer.secure) == (7, True)
