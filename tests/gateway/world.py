"""A Cluster's feed, an engine and a link process that are no more than what they are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from octelium.gateway.view import View
from octelium.replica.gateway_key import LABEL, GatewayKeys
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.tunnel.engines.interface import ConfigurationError, PeerConfig, PeerStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

TYPES = core.SessionStatusConnectionType__
L3 = core.SessionStatusConnectionL3Mode__
OWN = "192.0.2.1"
"""Where peers send to."""
KEYS = GatewayKeys(b"g" * 32)


def key(number: int) -> bytes:
    """A public key."""
    return number.to_bytes(32, "big")


def config(v4: str = "100.64.0.0/16", sessions: str = "100.65.0.0/16") -> core.ClusterConfig:
    made = core.ClusterConfig()
    made.metadata.uid = "config"
    network = made.status.network
    network.service_subnet.v4, network.service_subnet.v6 = v4, "fdee::/80"
    network.wg_conn_subnet.v4, network.wg_conn_subnet.v6 = sessions, "fdee::1:0:0:0/80"
    return made


def gateway() -> core.Gateway:
    made = core.Gateway()
    made.metadata.uid = "gateway"
    return made


def key_secret(keys: GatewayKeys = KEYS) -> core.Secret:
    made = core.Secret()
    made.metadata.uid = "secret"
    made.metadata.system_labels[LABEL] = "gateway"
    made.data.value_bytes = keys.to_bytes()
    return made


def session(number: int, *, public_key: bytes | None = None, index: int = 0) -> core.Session:
    made = core.Session()
    made.metadata.uid = f"session-{number}"
    made.spec.state = core.SessionSpecState__.ACTIVE
    connection = made.status.connection
    connection.type, connection.l3_mode = TYPES.WIREGUARD, L3.BOTH
    connection.x25519_public_key = public_key or key(number)
    place = index or number
    connection.addresses.add(v4=f"100.65.0.{place}/32", v6=f"fdee::1:0:0:{place:x}/128")
    return made


def put(message: Message) -> feed.Change:
    name = message.DESCRIPTOR.name
    uid = message.metadata.uid  # type: ignore[attr-defined]  # a resource
    return feed.Change(kind=name, uid=uid, data=message.SerializeToString())


def gone(kind: str, uid: str) -> feed.Change:
    return feed.Change(kind=kind, uid=uid, deleted=True)


def snapshot(*messages: Message, revision: int = 1) -> feed.Commit:
    return feed.Commit(
        revision=revision,
        changes=[put(each) for each in messages],
        snapshot_begin=True,
        snapshot_end=True,
    )


class Writer:
    """Hands commits to a view, as a Follower does, and publishes their revisions."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view or View()
        self.value = 0

    def begin(self, *sessions: core.Session) -> View:
        """A Cluster with a Gateway and these Sessions."""
        self.view.apply(snapshot(config(), gateway(), key_secret(), *sessions))
        self.value = 1
        return self.view

    def commit(self, *changes: feed.Change | Message, published: bool = True) -> None:
        made = [each if isinstance(each, feed.Change) else put(each) for each in changes]
        self.view.apply(feed.Commit(revision=self.view.revision + 1, changes=made))
        if published:
            self.publish()

    def publish(self) -> None:
        """Every reader has been handed what there is."""
        self.value = self.view.revision


class FakeEngine:
    """An engine that does as it is told, and tells in what order."""

    name = "fake"
    wants_offload = True
    wants_sockets = True

    def __init__(self) -> None:
        self.peers: dict[bytes, PeerConfig] = {}
        self.keys: tuple[bytes, ...] = ()
        self.said: list[tuple[str, bytes]] = []
        self.places: dict[bytes, PeerStats] = {}
        self.events: Counter[str] = Counter(no_route=0)
        self.refused: set[bytes] = set()
        self.closed = False
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.changed: set[bytes] = set()
        self.told: Callable[[], None] = lambda: None

    async def start(self) -> None:
        self.said.append(("start", b""))

    async def failed(self) -> str:
        return await asyncio.shield(self.failure)

    def set_private_key(self, private_key: bytes, previous: Sequence[bytes] = ()) -> None:
        self.keys = (private_key, *previous)

    def put_peer(self, peer: PeerConfig) -> None:
        if peer.public_key in self.refused:
            raise ConfigurationError("no key")
        self.said.append(("put", peer.public_key))
        self.peers[peer.public_key] = peer

    def change_peer_key(self, public_key: bytes, new: bytes) -> None:
        raise NotImplementedError

    def remove_peer(self, public_key: bytes) -> None:
        self.said.append(("remove", public_key))
        self.peers.pop(public_key, None)

    def replace_peers(self, peers: Sequence[PeerConfig]) -> None:
        self.peers = {each.public_key: each for each in peers}

    def poke(self, public_key: bytes) -> None:
        self.said.append(("poke", public_key))

    def stats(self) -> dict[bytes, PeerStats]:
        none = PeerStats(None, 0.0, 0, 0)
        return {public_key: self.places.get(public_key, none) for public_key in self.peers}

    def take_changed(self) -> dict[bytes, PeerStats]:
        changed, self.changed = self.changed, set()
        return {public_key: self.places[public_key] for public_key in changed}

    def on_change(self, told: Callable[[], None]) -> None:
        self.told = told

    def counters(self) -> dict[str, int]:
        return dict(self.events)

    async def close(self) -> None:
        self.closed = True

    def seen(self, public_key: bytes, place: tuple[str, int], timestamp: bytes = b"t" * 12) -> None:
        """A peer shook hands from there."""
        self.places[public_key] = PeerStats(place, 1000.0, 1, 2, timestamp, OWN)
        first = not self.changed
        self.changed.add(public_key)
        if first:
            self.told()
