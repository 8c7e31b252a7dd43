"""The table of indices by which messages name sessions and handshakes (section 5.4.2)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.keypair import Keypair
    from octelium.tunnel.wireguard.peer import Peer


class Indices:
    """Our random indices in use: at most three sessions and one handshake per peer."""

    __slots__ = ("handshakes", "keypairs")

    def __init__(self) -> None:
        self.keypairs: dict[int, Keypair] = {}
        self.handshakes: dict[int, Peer] = {}

    def __len__(self) -> int:
        return len(self.keypairs) + len(self.handshakes)

    def fresh(self) -> int:
        """An index that nobody uses; it cannot be guessed."""
        while True:
            index = secrets.randbits(32)
            if index not in self.keypairs and index not in self.handshakes:
                return index

    def peer(self, index: int) -> Peer | None:
        """Whose handshake or session it is."""
        keypair = self.keypairs.get(index)
        return keypair.peer if keypair is not None else self.handshakes.get(index)

    def abandon(self, peer: Peer) -> None:
        """Drop the handshake under way, if there is one."""
        if peer.pending is not None:
            del self.handshakes[peer.pending.index]
            peer.pending = None

    def end(self, keypair: Keypair | None) -> None:
        """Drop a session's keys, if there is one."""
        if keypair is not None:
            del self.keypairs[keypair.index]

    def end_all(self, peer: Peer) -> None:
        """Drop all of a peer's keys."""
        self.abandon(peer)
        for keypair in (peer.previous, peer.current, peer.next):
            self.end(keypair)
        peer.previous = peer.current = peer.next = None

    def rotate(self, peer: Peer, keypair: Keypair) -> None:
        """Take up the session of a new handshake.

        The initiator knows that the responder has it and sends with it at once; a responder waits
        for the first message (section 5.4.5). Two handshakes that cross leave both sides with both
        sessions, and neither side loses what is on its way in the session before.
        """
        self.keypairs[keypair.index] = keypair
        if keypair.initiator:
            self.end(peer.previous)
            peer.previous, peer.current = _resting(peer.current), keypair
        else:
            self.end(peer.next)
            self.end(peer.previous)
            peer.previous, peer.next = None, keypair

    def confirm(self, peer: Peer) -> None:
        """The first message with `peer.next` came: it is the session to send with."""
        self.end(peer.previous)
        peer.previous, peer.current, peer.next = _resting(peer.current), peer.next, None


def _resting(keypair: Keypair | None) -> Keypair | None:
    if keypair is not None:
        keypair.rest()
    return keypair
