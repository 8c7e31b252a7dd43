from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.replica.gateway_key import LABEL, GatewayKeys
from octelium.replica.reduced import REDUCED
from octelium.replica.source import Source
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from tests.replica.samples import (
    contained,
    container_state,
    named,
    put,
    secret,
    service,
    session,
    signing_secret,
)

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


class Reader:
    """Every change that reaches a role."""

    role: str

    def __init__(self, resources: Resources, role: str = "") -> None:
        self.source = Source(resources, role or self.role)
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


class Gateway(Reader):
    """Every change that reaches the role `gateway`."""

    role = "gateway"


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


class Controller(Reader):
    """Every change that reaches the role `controller`."""

    role = "controller"


async def test_the_controller_sees_containers_and_the_secrets_that_they_name(
    resources: Resources,
) -> None:
    signing, _ = signing_secret()
    config = core.ClusterConfig(metadata=named("default"))
    config.status.domain = "confidential.example"
    certificate = secret("crt-ns-default", "confidential")
    certificate.metadata.is_system = certificate.metadata.is_system_hidden = True
    certificate.metadata.system_labels["octelium-cert"] = "true"
    web = contained("web.default", "env", "absent", "crt-ns-default", signing.metadata.name)
    web.spec.config.http.auth.bearer.from_secret = "password"
    web.metadata.description = "confidential"
    await put(
        resources,
        *(config, web, service("wiki.default", "password"), connected("on"), signing, certificate),
        *(secret("env", "shown"), secret("password", "confidential"), key_secret("sys:gateway-a")),
    )
    later = Controller(resources)
    assert sorted(later.new()) == [
        ("ClusterConfig", "default", False),
        ("Secret", "env", False),
        ("Service", "web.default", False),
    ]
    assert b"shown" in later.wire
    for word in (b"confidential", b"PRIVATE", signing.data.value_bytes):
        assert word not in later.wire


async def test_the_controller_hears_of_what_concerns_it_and_of_nothing_else(
    resources: Resources,
) -> None:
    controller = Controller(resources)
    assert controller.new() == []
    uid, _ = await put(resources, contained("web.default", "env"), service("wiki.default", "key"))
    assert controller.new() == [("Service", "web.default", False)]
    await put(resources, secret("env"), secret("key"), core.User(metadata=named("someone")))
    assert controller.new() == [("Secret", "env", False)]
    async with resources.transaction() as tx:
        web = tx.get(core.Service, uid=uid)
        web.spec.is_public = True
        tx.update(web)
    assert controller.new() == []
    async with resources.transaction() as tx:
        web = tx.get(core.Service, uid=uid)
        web.spec.config.upstream.container.image = "example/other"
        tx.update(web)
    assert controller.new() == [("Service", "web.default", False)]
    async with resources.transaction() as tx:
        web = tx.get(core.Service, uid=uid)
        web.spec.config.upstream.url = "http://example.com"
        tx.update(web)
    assert [(kind, deleted) for kind, _, deleted in controller.new()] == [
        ("Service", True),
        ("Secret", True),
    ]
    async with resources.transaction() as tx:
        tx.delete("Service", uid)
    assert controller.new() == []


def test_of_a_service_the_containers_are_left() -> None:
    made = contained("web.default")
    made.metadata.uid = "uid"
    made.spec.mode = core.ServiceSpecMode__.UDP
    made.spec.dynamic_config.configs.add(name="url").upstream.url = "http://example.com"
    green = made.spec.dynamic_config.configs.add(name="green")
    green.upstream.container.image = "example/green"
    left = REDUCED["controller"]["Service"](made)
    assert left is not None
    kept = core.Service.FromString(left)
    assert (kept.metadata.uid, kept.metadata.name) == ("uid", "web.default")
    assert kept.spec.mode == core.ServiceSpecMode__.UDP
    assert kept.spec.config.upstream.container.image == "example/image"
    assert [one.name for one in kept.spec.dynamic_config.configs] == ["green"]
    assert REDUCED["controller"]["Service"](service("wiki.default")) is None


async def test_what_is_told_to_people_does_not_reach_the_data_plane(resources: Resources) -> None:
    reader = Reader(resources, "data-plane")
    one = container.Container(address="10.43.0.7", port=80, ready=True, image="confidential")
    (uid,) = await put(resources, container_state("service", one))
    assert reader.new() == [("ContainerState", "service", False)]
    async with resources.transaction() as tx:
        state = tx.get(container.ContainerState, uid=uid)
        state.status.containers[0].events.add(message="confidential")
        tx.update(state)
    assert reader.new() == []
    assert b"confidential" not in reader.wire
    async with resources.transaction() as tx:
        state = tx.get(container.ContainerState, uid=uid)
        state.status.containers[0].ready = False
        tx.update(state)
        tx.delete("ContainerState", uid)
    assert reader.new() == [("ContainerState", "service", True)]
