from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.replica.gateway_key import LABEL, GatewayKeys
from octelium.replica.reduced import REDUCED
from octelium.replica.source import Source
from octelium.schema.pb import core_v1_pb2 as core
from tests.replica.samples import named, put, secret, session, signing_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.schema.pb import feed_v1_pb2 as feed
    from octelium.store.resources import Resources

_TYPES = core.SessionStatusConnectionType__
_STATES = core.SessionSpecState__


def connected(name: str, key: bytes = b"k" * 32) -> core.Session:
    made = session(name, authentications=2)
    made.metadata.uid = f"uid-of-{name}"
    made.status.user_ref.name = "someone"
    made.status.authentication.token_id = "confidential"
    connection = made.status.connection
    connection.type = _TYPES.WIREGUARD
    connection.x25519_public_key = key
    connection.addresses.add(v4="100.65.0.7/32", v6="fdee::1:0:0:7/128")
    return made


def reduced(made: core.Session) -> bytes | None:
    return REDUCED["gateway"]["Session"](made)


def test_of_a_connected_session_the_connection_is_left() -> None:
    left = reduced(connected("a"))
    assert left is not None
    assert core.Session.FromString(left).status.connection.x25519_public_key == b"k" * 32
    for word in (b"someone", b"confidential"):
        assert word in connected("a").SerializeToString()
        assert word not in left


def _reject(made: core.Session) -> None:
    made.spec.state = _STATES.REJECTED


def _lock(made: core.Session) -> None:
    made.status.is_locked = True


def _end(made: core.Session) -> None:
    made.status.ClearField("connection")


def _by_quic(made: core.Session) -> None:
    made.status.connection.type = _TYPES.QUICV0


def _shorten(made: core.Session) -> None:
    made.status.connection.x25519_public_key = b"k" * 31


def _move(made: core.Session) -> None:
    del made.status.connection.addresses[:]


@pytest.mark.parametrize("change", [_reject, _lock, _end, _by_quic, _shorten, _move])
def test_of_every_other_session_nothing_is_left(change: Callable[[core.Session], None]) -> None:
    made = connected("a")
    change(made)
    assert reduced(made) is None


class Gateway:
    """Every change that reaches the role `gateway`."""

    def __init__(self, resources: Resources) -> None:
        self.source = Source(resources, "gateway")
        self.wire = b""
        self.seen: list[tuple[str, str, bool]] = []
        for piece in self.source.snapshot(b"instance"):
            self._take(piece)
        resources.subscribe(lambda committed: self._take(self.source.commit(committed)))

    def _take(self, commit: feed.Commit) -> None:
        self.wire += commit.SerializeToString()
        self.seen += [(each.kind, each.name, each.deleted) for each in commit.changes]

    def new(self) -> list[tuple[str, str, bool]]:
        seen, self.seen = self.seen, []
        return seen


def key_secret(name: str) -> core.Secret:
    made = core.Secret(metadata=named(name))
    made.metadata.is_system = made.metadata.is_system_hidden = True
    made.metadata.system_labels[LABEL] = "uid"
    made.data.value_bytes = GatewayKeys(b"p" * 32).to_bytes()
    return made


async def test_the_gateway_sees_its_network_its_keys_and_who_is_connected(
    resources: Resources,
) -> None:
    signing, _ = signing_secret()
    config = core.ClusterConfig(metadata=named("default"))
    config.spec.SetInParent()
    config.status.network.service_subnet.v4 = "100.64.0.0/16"
    config.status.domain = "confidential.example"
    await put(
        resources,
        *(config, connected("on"), session("off"), secret("password"), signing),
        *(key_secret("sys:gateway-key-a"), core.Gateway(metadata=named("gateway"))),
    )
    later = Gateway(resources)
    assert sorted(later.new()) == [
        ("ClusterConfig", "default", False),
        ("Gateway", "gateway", False),
        ("Secret", "sys:gateway-key-a", False),
        ("Session", "on", False),
    ]
    assert b"confidential" not in later.wire
    assert b"hunter2" not in later.wire


async def test_the_gateway_hears_of_what_concerns_it_and_of_nothing_else(
    resources: Resources,
) -> None:
    gateway = Gateway(resources)
    assert gateway.new() == []
    uid, _ = await put(resources, connected("on"), session("off"))
    assert gateway.new() == [("Session", "on", False)]
    signing, _ = signing_secret()
    await put(resources, signing, secret("password"), core.User(metadata=named("someone")))
    async with resources.transaction() as tx:
        signed_in = tx.get(core.Session, uid=uid)
        signed_in.status.authentication.token_id = "another"
        tx.update(signed_in)
    assert gateway.new() == []
    async with resources.transaction() as tx:
        moved = tx.get(core.Session, uid=uid)
        moved.status.connection.x25519_public_key = b"n" * 32
        tx.update(moved)
    assert gateway.new() == [("Session", "on", False)]
    async with resources.transaction() as tx:
        ended = tx.get(core.Session, uid=uid)
        ended.status.ClearField("connection")
        tx.update(ended)
    assert gateway.new() == [("Session", "on", True)]
    async with resources.transaction() as tx:
        tx.delete("Session", uid)
    assert gateway.new() == []
    (key,) = await put(resources, key_secret("sys:gateway-key-a"))
    async with resources.transaction() as tx:
        tx.delete("Secret", key)
    assert [(kind, deleted) for kind, _, deleted in gateway.new()] == [
        ("Secret", False),
        ("Secret", True),
    ]
