from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.apiserver.connect.gateways import (
    PREVIOUS_KEY,
    ROTATION,
    Interface,
    choose_public_addresses,
    gateway_keys,
    is_due,
    prepare,
    rotate,
    rotation_period,
)
from octelium.apiserver.core.kinds.secret import RULES as SECRETS
from octelium.apiserver.core.verbs import get
from octelium.replica.feed import LocalFeed
from octelium.replica.replica import Replica
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import PermissionDenied
from tests.apiserver.connect.world import PLAN, Clock, World, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.store.transaction import Transaction


def gateway_of(world: World) -> core.Gateway:
    (gateway,) = world.resources.list(core.Gateway)
    return gateway


def public_of(key: bytes) -> str:
    raw = X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
    return base64.b64encode(raw).decode()


async def test_the_gateway_is_made_once_and_survives_restarts(tmp_path: Path) -> None:
    clock = Clock()
    async with open_world(tmp_path, clock=clock) as world:
        first = gateway_of(world)
        key = gateway_keys(world.resources, first).current
    async with open_world(tmp_path, clock=clock) as world:
        assert gateway_of(world) == first
        assert gateway_keys(world.resources, first).current == key
    status = first.status
    assert first.metadata.name.startswith("default-")
    assert len(first.metadata.name) == len("default-") + 8
    assert first.metadata.is_system
    assert status.region_ref.name == "default"
    assert len(status.id) == 8
    assert status.hostname == f"_gw-{status.id}.example.com"
    assert status.wireguard.port == 53820
    assert status.wireguard.public_key == public_of(key)
    assert status.wireguard.key_rotated_at.seconds == int(clock())
    assert status.cidr == meta.DualStackNetwork(v4="100.64.0.0/24", v6="fdee:1:2:3::/112")


async def test_addresses_and_port_follow_the_settings(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        plan = replace(PLAN, public_addresses=("198.51.100.1",), port=5000)
        alice = await world.add_session()
        tunnel = await world.connect(alice)
        await tunnel.state()
        await world.write(lambda tx: prepare(tx, plan))
        told = (await tunnel.event("update_gateway")).gateway
        assert [*told.addresses] == ["198.51.100.1"]
        assert told.wireguard.port == 5000


async def test_the_network_stays_as_it_began(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = world.resources.get(core.ClusterConfig, name="default").status.network
        for plan in (
            replace(PLAN, network_v4="10.192.0.0/12"),
            replace(PLAN, network_v6="fdee:9:9:9::/64"),
        ):
            with pytest.raises(Invalid, match="since its first start"):
                await world.write(lambda tx, plan=plan: prepare(tx, plan))
        # A route that came later, such as the tunnel's own, is no reason to stop.
        await world.write(lambda tx: prepare(tx, replace(PLAN, host_routes=("100.64.0.0/16",))))
        assert world.resources.get(core.ClusterConfig, name="default").status.network == before


async def test_a_network_of_before_that_clients_refuse_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_world(tmp_path) as world:

        def former(tx: Transaction) -> None:
            config = tx.get(core.ClusterConfig, name="default")
            config.status.network.cluster_network.v4 = "198.18.0.0/15"
            tx.update(config)

        await world.write(lambda tx: prepare(tx, PLAN))
        assert "--allow-range" not in caplog.text
        await world.write(former)
        await world.write(lambda tx: prepare(tx, PLAN))
        assert "--allow-range 198.18.0.0/15" in caplog.text


async def test_a_network_in_use_makes_no_gateway(tmp_path: Path) -> None:
    async with open_world(tmp_path, plan=None) as world:
        revision = world.resources.revision
        with pytest.raises(Invalid, match="network-v4"):
            await world.write(lambda tx: prepare(tx, replace(PLAN, host_routes=("100.96.0.0/12",))))
        assert world.resources.revision == revision


async def test_the_key_is_sealed_hidden_and_no_workers(world: World) -> None:
    gateway = gateway_of(world)
    key = gateway_keys(world.resources, gateway).current
    (item,) = world.resources.items("Secret")
    assert item.part is not None
    for text in (key, base64.b64encode(key)):
        assert text not in item.data
        assert text not in item.part
    with pytest.raises(PermissionDenied):
        get(world.resources, SECRETS, meta.GetOptions(uid=item.uid))
    with pytest.raises(PermissionDenied):
        get(world.resources, SECRETS, meta.GetOptions(name=item.name))
    replica = Replica()
    feed = LocalFeed(world.resources, replica)
    feed.start()
    assert not replica.secrets
    feed.close()


async def test_a_key_is_replaced_when_due_and_its_predecessor_answered_for_a_while(
    world: World,
) -> None:
    now = world.clock()
    first = gateway_keys(world.resources, gateway_of(world)).current
    assert not is_due(world.resources, now + ROTATION - 1)
    assert is_due(world.resources, now + ROTATION)
    assert await world.write(lambda tx: rotate(tx, now + ROTATION - 1, replace=True)) == 0
    assert await world.write(lambda tx: rotate(tx, now + ROTATION, replace=False)) == 0
    assert await world.write(lambda tx: rotate(tx, now + ROTATION, replace=True)) == 1
    gateway = gateway_of(world)
    keys = gateway_keys(world.resources, gateway)
    assert keys.current != first
    assert gateway.status.wireguard.public_key == public_of(keys.current)
    assert gateway.status.wireguard.key_rotated_at.seconds == int(now + ROTATION)
    end = now + ROTATION + PREVIOUS_KEY
    assert keys.previous == ((first, end),)
    assert await world.write(lambda tx: rotate(tx, end - 1, replace=False)) == 0
    assert await world.write(lambda tx: rotate(tx, end, replace=False)) == 1
    assert gateway_keys(world.resources, gateway).previous == ()
    assert gateway_keys(world.resources, gateway).current == keys.current


async def test_new_key_and_public_key_are_one_commit_and_told_at_once(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    before = world.resources.revision
    await world.write(lambda tx: rotate(tx, world.clock() + ROTATION, replace=True))
    assert world.resources.revision == before + 1
    told = (await tunnel.event("update_gateway")).gateway
    keys = gateway_keys(world.resources, gateway_of(world))
    assert told.wireguard.public_key == public_of(keys.current)
    assert told.id == gateway_of(world).status.id


async def test_keys_are_replaced_only_while_somebody_learns_of_it(tmp_path: Path) -> None:
    clock = Clock()
    async with open_world(tmp_path, clock=clock) as world:
        public = gateway_of(world).status.wireguard.public_key
        turns, kept = 0, []

        async def turn(_seconds: float) -> None:
            nonlocal turns
            turns += 1
            clock.now += ROTATION
            if turns == 3:
                kept.append(await world.connect(await world.add_session()))
                await kept[0].state()
            if turns == 5:
                raise _EnoughError
            if turns <= 3:
                assert gateway_of(world).status.wireguard.public_key == public

        for task in world.service._tasks:
            task.cancel()
        world.service._sleep = turn
        with pytest.raises(_EnoughError):
            await world.service._rotate_keys()
        assert gateway_of(world).status.wireguard.public_key != public


class _EnoughError(Exception):
    pass


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [({}, ROTATION), ({"hours": 2}, 7200), ({"seconds": 5}, 30), ({"milliseconds": 45_500}, 45.5)],
)
def test_the_period_is_the_administrators(duration: dict[str, int], seconds: float) -> None:
    config = core.ClusterConfig()
    config.spec.gateway.wireguard_key_rotation_duration.CopyFrom(meta.Duration(**duration))
    assert rotation_period(config) == seconds


def interfaces(*addresses: str, default: str = "") -> list[Interface]:
    return [Interface(address, address == default) for address in addresses]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (interfaces("127.0.0.1", "::1", "10.0.0.5"), ["10.0.0.5"]),
        (interfaces("10.0.0.5", "8.8.8.8", default="10.0.0.5"), ["8.8.8.8"]),
        (
            interfaces("2a00:1450::1", "8.8.8.8", "fe80::1", default="8.8.8.8"),
            ["8.8.8.8"],
        ),
        (interfaces("172.17.0.1", "192.168.1.4", default="192.168.1.4"), ["192.168.1.4"]),
        (interfaces("fd00::4", "192.168.1.4"), ["192.168.1.4", "fd00::4"]),
        (interfaces("169.254.0.3", "224.0.0.1", "0.0.0.0", "10.1.1.1"), ["10.1.1.1"]),
    ],
)
def test_public_addresses_are_those_that_most_clients_reach(
    found: list[Interface], expected: list[str]
) -> None:
    assert choose_public_addresses(found, ()) == expected


def test_a_setting_comes_first_and_must_be_addresses() -> None:
    found = interfaces("8.8.8.8")
    assert choose_public_addresses(found, ["2001:DB8::1"]) == ["2001:db8::1"]
    with pytest.raises(Invalid, match="public-address"):
        choose_public_addresses(found, ["gw.example.com"])
    with pytest.raises(Invalid, match="no address for clients"):
        choose_public_addresses(interfaces("127.0.0.1"), ())
