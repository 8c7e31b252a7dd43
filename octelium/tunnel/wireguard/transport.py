"""Transport data: the loops that every packet goes through (paper, sections 5.4.6, 6.1 to 6.5).

One packet costs a few microseconds, so what can be is done once per batch and peer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from octelium.tunnel.wireguard.constants import REJECT_AFTER_MESSAGES, REKEY_AFTER_MESSAGES
from octelium.tunnel.wireguard.messages import (
    COOKIE,
    DATA,
    DATA_HEAD,
    DATA_MINIMUM,
    INITIATION,
    pack_data_head,
    pack_nonce,
    unpack_data_head,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.tunnel.wireguard.endpoints import Endpoint
    from octelium.tunnel.wireguard.handshakes import Handshakes
    from octelium.tunnel.wireguard.keypair import Keypair
    from octelium.tunnel.wireguard.peer import Peer
    from octelium.tunnel.wireguard.primitives import Buffer
    from octelium.tunnel.wireguard.state import State
    from octelium.tunnel.wireguard.timers import Timers

_PADDING = [bytes(number) for number in range(16)]


class Transport:
    """Encrypts, decrypts and routes packets of a device."""

    __slots__ = ("_handshakes", "_mtu", "_state", "_timers")

    def __init__(self, state: State, timers: Timers, handshakes: Handshakes, mtu: int) -> None:
        self._state = state
        self._timers = timers
        self._handshakes = handshakes
        self._mtu = mtu

    def receive(  # noqa: C901 - one loop: a function called per packet costs a tenth of it
        self, datagrams: Iterable[tuple[Buffer, Endpoint]], now: float
    ) -> list[bytes]:
        """Take datagrams; the IP packets that were in them, checked and without padding."""
        state = self._state
        self._handshakes.turn()
        counters = state.counters
        keypairs = state.indices.keypairs
        routes = state.routes
        exact4, find4 = routes.v4.exact.get, routes.v4.find
        exact6, find6 = routes.v6.exact.get, routes.v6.find
        packets: list[bytes] = []
        heard: dict[Peer, bool] = {}
        confirmed: list[Peer] = []
        talker: Peer | None = None
        for datagram, source in datagrams:
            size = len(datagram)
            if size < DATA_MINIMUM:
                counters.malformed += 1
                continue
            kind, index, counter = unpack_data_head(datagram)
            if kind != DATA:
                self._handshake(datagram, kind, source, now)
                continue
            keypair = keypairs.get(index)
            if keypair is None:
                counters.unknown_index += 1
                continue
            if now >= keypair.dies or counter >= REJECT_AFTER_MESSAGES:
                counters.expired += 1
                continue
            try:
                decrypt = keypair.decrypt or keypair.receiving()
                packet = decrypt(pack_nonce(counter), datagram[DATA_HEAD:], None)
            except InvalidTag:
                counters.bad_tag += 1
                continue
            if not keypair.accept(counter):
                counters.replay += 1
                continue
            peer = keypair.peer
            if keypair is peer.next:
                state.indices.confirm(peer)
                self._timers.complete(peer, now)
                confirmed.append(peer)
            peer.rx_bytes += size
            if source != peer.endpoint:
                state.roam(peer, source)
            size = len(packet)
            if not size:
                counters.keepalives_received += 1
                heard.setdefault(peer, False)
                continue
            if peer is not talker:
                talker = peer
                heard[peer] = True
            version = packet[0] >> 4
            if version == 4 and size >= 20:
                length = packet[2] << 8 | packet[3]
                least = 20
                address = packet[12:16]
                mine = exact4(address) is peer or find4(address) is peer
            elif version == 6 and size >= 40:
                length = 40 + (packet[4] << 8 | packet[5])
                least = 40
                address = packet[8:24]
                mine = exact6(address) is peer or find6(address) is peer
            else:
                counters.malformed += 1
                continue
            if not mine:
                counters.bad_source += 1
            elif length == size:
                packets.append(packet)
            elif least <= length < size:
                packets.append(packet[:length])
            else:
                counters.malformed += 1
        for peer, data in heard.items():
            self._heard(peer, now, data=data)
        for peer in confirmed:
            self.established(peer, now)
        return packets

    def send(self, packets: Sequence[Buffer], now: float) -> None:
        """Encrypt IP packets for the peers that own their destinations."""
        state = self._state
        counters = state.counters
        routes = state.routes
        exact4, find4 = routes.v4.exact.get, routes.v4.find
        exact6, find6 = routes.v6.exact.get, routes.v6.find
        put = state.outbox.put
        mtu = self._mtu
        talked: dict[Peer, Keypair] = {}
        talker: Peer | None = None
        for packet in packets:
            size = len(packet)
            version = packet[0] >> 4 if size >= 20 else 0
            if version == 4:
                address = bytes(packet[16:20])
                peer = exact4(address) or find4(address)
            elif version == 6 and size >= 40:
                address = bytes(packet[24:40])
                peer = exact6(address) or find6(address)
            else:
                counters.malformed += 1
                continue
            if peer is None:
                counters.no_route += 1
                continue
            endpoint = peer.endpoint
            if endpoint is None:
                counters.no_endpoint += 1
                continue
            keypair = peer.current
            if keypair is None or now >= keypair.dies or keypair.counter >= REJECT_AFTER_MESSAGES:
                state.stage(peer, bytes(packet))
                self._handshakes.initiate(peer, now)
                continue
            counter = keypair.counter
            keypair.counter = counter + 1
            if surplus := -size % 16:
                padding = min(surplus, max(0, mtu - size))
                packet = b"".join((packet, _PADDING[padding]))
            encrypt = keypair.encrypt or keypair.sending()
            sealed = encrypt(pack_nonce(counter), packet, None)
            datagram = pack_data_head(DATA, keypair.remote, counter) + sealed
            peer.tx_bytes += len(datagram)
            put(endpoint, datagram)
            if peer is not talker:
                talker = peer
                talked[peer] = keypair
        for peer, keypair in talked.items():
            self._timers.sent(peer, now, data=True)
            self._keep_fresh(peer, keypair, now)

    def keepalive(self, peer: Peer, now: float) -> None:
        """Send an empty message; without a session, begin a handshake, which ends in one."""
        keypair = peer.current
        if keypair is None or now >= keypair.dies or keypair.counter >= REJECT_AFTER_MESSAGES:
            self._handshakes.initiate(peer, now)
            return
        self._empty(peer, keypair, now)
        self._keep_fresh(peer, keypair, now)

    def established(self, peer: Peer, now: float) -> None:
        """Send what waited for a session; its first message confirms it to a responder."""
        keypair = peer.current
        packets = self._state.take_staged(peer)
        if packets:
            self.send(packets, now)
        # The packets' addresses may belong to another peer by now.
        if keypair is not None and keypair.initiator and keypair.counter == 0:
            self._empty(peer, keypair, now)

    def _empty(self, peer: Peer, keypair: Keypair, now: float) -> None:
        counter = keypair.counter
        keypair.counter = counter + 1
        sealed = (keypair.encrypt or keypair.sending())(pack_nonce(counter), b"", None)
        if self._state.emit(peer, pack_data_head(DATA, keypair.remote, counter) + sealed):
            self._timers.sent(peer, now, data=False)

    def _keep_fresh(self, peer: Peer, keypair: Keypair, now: float) -> None:
        """Ask for the next session in time (section 6.2)."""
        if now >= keypair.renew or keypair.counter > REKEY_AFTER_MESSAGES:
            self._handshakes.initiate(peer, now)

    def _heard(self, peer: Peer, now: float, *, data: bool) -> None:
        self._timers.received(peer, now, data=data)
        keypair = peer.current
        if keypair is not None and now >= keypair.last_minute and not peer.asked_last_minute:
            peer.asked_last_minute = True
            self._handshakes.initiate(peer, now)

    def _handshake(self, datagram: Buffer, kind: int, source: Endpoint, now: float) -> None:
        if not INITIATION <= kind <= COOKIE:
            self._state.counters.malformed += 1
            return
        peer = self._handshakes.receive(bytes(datagram), kind, source, now)
        if peer is not None:
            self.established(peer, now)
