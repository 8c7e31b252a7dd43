from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.connect.connections import (
    EXT,
    Mark,
    begin,
    connection_id,
    end,
    mark_of,
    unusable_because,
)
from octelium.apiserver.connect.network import choose_ranges, network_of, put_ranges
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference
from tests.apiserver.connect.world import NOW, World

if TYPE_CHECKING:
    from octelium.apiserver.connect.network import Network


def network() -> Network:
    config = core.ClusterConfig()
    put_ranges(config, choose_ranges((), v6="fdee:1:2:3::/64", random_bytes=bytes))
    found = network_of(config)
    assert found is not None
    return found


def connected(now: float = NOW, session: core.Session | None = None) -> core.Session:
    session = session or core.Session()
    begin(session, core.SessionStatusConnection(ignore_dns=True), network(), 300, now)
    return session


def test_a_connection_has_an_id_of_its_own() -> None:
    session = connected()
    first = connection_id(session)
    assert first
    assert mark_of(session) == Mark(first, 300)
    connected(NOW + 1, session)
    assert connection_id(session) not in (first, None)
    assert session.status.total_connections == 2


def test_beginning_takes_what_was_wanted_and_sets_the_rest() -> None:
    wanted = core.SessionStatusConnection(ignore_dns=True)
    wanted.addresses.add(v4="10.0.0.1/32")
    session = core.Session()
    begin(session, wanted, network(), 300, NOW)
    connection = session.status.connection
    assert connection.ignore_dns
    assert [address.v4 for address in connection.addresses] == ["100.65.1.44/32"]
    assert connection.started_at.seconds == NOW


def test_what_ended_is_remembered_with_its_address() -> None:
    session = connected()
    begun = connection_id(session)
    assert begun is not None
    assert end(session, NOW + 5)
    assert connection_id(session) is None
    assert mark_of(session) == Mark(begun, 300, NOW + 5)
    (past,) = session.status.last_connections
    assert (past.started_at.seconds, past.ended_at.seconds) == (NOW, NOW + 5)
    assert not end(session, NOW + 6)
    assert len(session.status.last_connections) == 1


def test_a_hundred_connections_are_remembered_newest_first() -> None:
    session = core.Session()
    for number in range(105):
        connected(NOW + number, session)
    end(session, NOW + 105)
    past = session.status.last_connections
    assert len(past) == 100
    assert past[0].started_at.seconds == NOW + 104
    assert past[99].started_at.seconds == NOW + 5


def test_reading_a_mark_leaves_the_message_as_it_is() -> None:
    session = core.Session()
    session.status.ext[EXT].update({"id": "x"})
    before = session.SerializeToString(deterministic=True)
    assert mark_of(session) == Mark("x", 0)
    assert mark_of(core.Session()) is None
    assert session.SerializeToString(deterministic=True) == before


def test_a_connection_without_a_mark_is_ended_like_others() -> None:
    session = core.Session()
    session.status.is_connected = True
    assert connection_id(session) is None
    assert end(session, NOW)
    assert not session.status.is_connected
    session.status.connection.ignore_dns = True
    assert connection_id(session) == ""
    assert end(session, NOW)
    assert mark_of(session) is None


@pytest.mark.parametrize(
    ("part", "field", "value", "expected"),
    [
        ("spec", "state", core.SessionSpecState__.PENDING, "not active"),
        ("status", "is_locked", True, "locked"),
        ("status", "user_ref", None, "User"),
        ("status", "device_ref", None, "Device"),
    ],
)
async def test_who_may_not_be_connected(
    world: World, part: str, field: str, value: Any, expected: str
) -> None:
    session = await world.add_session()
    assert unusable_because(world.resources, session, world.clock()) == ""
    if value is None:
        getattr(getattr(session, part), field).uid = "missing"
    else:
        setattr(getattr(session, part), field, value)
    assert expected in unusable_because(world.resources, session, world.clock())


async def test_an_expired_session_may_not_be_connected(world: World) -> None:
    session = await world.add_session()
    end_of_it = session.spec.expires_at.seconds
    assert unusable_because(world.resources, session, end_of_it - 1) == ""
    assert "expired" in unusable_because(world.resources, session, end_of_it)


async def test_a_session_with_an_active_device_may_be_connected(world: World) -> None:
    def add(tx: Any) -> core.Device:
        device = core.Device()
        device.metadata.name = "laptop"
        device.spec.state = core.DeviceSpecState__.ACTIVE
        made: core.Device = tx.create(device)
        return made

    device = await world.write(add)
    session = await world.add_session()
    session.status.device_ref.CopyFrom(reference(device))
    assert unusable_because(world.resources, session, world.clock()) == ""
    await world.change(device, lambda one: setattr(one.status, "is_locked", True))
    assert "Device" in unusable_because(world.resources, session, world.clock())


async def test_an_access_token_that_ended_ends_no_tunnel(world: World) -> None:
    session = await world.add_session()
    session.status.authentication.set_at.FromSeconds(int(world.clock()) - 10_000)
    session.status.authentication.access_token_duration.seconds = 10
    assert unusable_because(world.resources, session, world.clock()) == ""
