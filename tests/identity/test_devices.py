from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.devices import BoundError, DeviceError, DeviceInfo, Devices
from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.authenticators.people import People, open_people

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

LINUX = core.DeviceStatusOsType__.LINUX
STATES = core.DeviceSpecState__


@pytest_asyncio.fixture(name="people")
async def people_fixture(tmp_path: Path) -> AsyncIterator[People]:
    async with open_people(tmp_path) as people:
        yield people


@pytest.fixture(name="devices")
def devices_fixture(people: People) -> Devices:
    cluster = people.cluster
    return Devices(cluster.resources, cluster.keyring, clock=cluster.clock)


def info(digit: str = "a", **more: Any) -> DeviceInfo:
    return DeviceInfo(**{"os_type": LINUX, "id": digit * 64, "hostname": "laptop", **more})


async def walk(devices: Devices, session: IssuedTokens, told: DeviceInfo) -> core.Device:
    uid = await devices.begin(session.refresh_token, told, "test")
    assert len(uid) == 10
    return await devices.finish(session.refresh_token, uid, "test")


async def test_registering(people: People, devices: Devices) -> None:
    session = await people.session(client=True)
    told = info(serial_number="PF-1234", mac_addresses=["00:11:22:33:44:55"])
    device = await walk(devices, session, told)
    assert device.metadata.name.startswith("linux-")
    assert device.spec.state == STATES.ACTIVE
    assert device.status.user_ref.uid == people.cluster.alice.metadata.uid
    assert (device.status.id, device.status.serial_number) == (told.id, "PF-1234")
    assert list(device.status.mac_addresses) == ["00:11:22:33:44:55"]
    bound = people.get(session.session).status.device_ref
    assert bound.uid == device.metadata.uid
    for again in (devices.begin, devices.register):
        with pytest.raises(BoundError, match="already"):
            await again(session.refresh_token, info("b"), "test")


async def test_in_one_step(people: People, devices: Devices) -> None:
    session = await people.session(people.cluster.robot, client=True)
    device = await devices.register(session.refresh_token, info(), "test")
    assert people.get(session.session).status.device_ref.uid == device.metadata.uid


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (info(), info()),
        (info(serial_number="PF-1234"), info("b", serial_number="PF-1234")),
    ],
    ids=["id", "serial number"],
)
async def test_known_ones(
    people: People, devices: Devices, first: DeviceInfo, second: DeviceInfo
) -> None:
    device = await walk(devices, await people.session(client=True), first)
    session = await people.session(client=True)
    with pytest.raises(BoundError, match="before"):
        await devices.begin(session.refresh_token, second, "test")
    assert people.get(session.session).status.device_ref.uid == device.metadata.uid
    other = await people.session(people.bob, client=True)
    for method in (devices.begin, devices.register):
        with pytest.raises(DeviceError, match="another User"):
            await method(other.refresh_token, second, "test")
    assert not people.get(other.session).status.HasField("device_ref")
    assert people.cluster.resources.count(core.Device) == 1


async def test_no_serial_number_is_nobodys(people: People, devices: Devices) -> None:
    await walk(devices, await people.session(client=True), info())
    other = await people.session(people.bob, client=True)
    assert await walk(devices, other, info("b"))


async def test_the_steps_belong_together(people: People, devices: Devices) -> None:
    one, two = await people.session(client=True), await people.session(client=True)
    uid = await devices.begin(one.refresh_token, info(), "test")
    for session, given_uid in ((two, uid), (two, ""), (one, "x" * 10), (one, uid)):
        with pytest.raises(DeviceError):  # a wrong one uses it up
            await devices.finish(session.refresh_token, given_uid, "test")
    uid = await devices.begin(one.refresh_token, info(), "test")
    people.cluster.clock.now += 20
    with pytest.raises(DeviceError):
        await devices.finish(one.refresh_token, uid, "test")
    assert people.cluster.resources.count(core.Device) == 0


async def test_who_may(people: People, devices: Devices) -> None:
    states = core.SessionSpecState__
    for session, error in (
        (await people.session(), RefusedError),
        (await people.session(client=True, state=states.PENDING), RefusedError),
        (await people.session(client=True, state=states.REJECTED), UnauthenticatedError),
        (await people.session(client=True, is_locked=True), UnauthenticatedError),
    ):
        with pytest.raises(error):
            await devices.register(session.refresh_token, info(), "test")
    with pytest.raises(UnauthenticatedError):
        await devices.register("x", info(), "test")
    session = await people.session(people.bob, client=True)
    people.bob.spec.is_disabled = True
    await people.cluster.change(people.bob)
    with pytest.raises(RefusedError):
        await devices.register(session.refresh_token, info(), "test")


@pytest.mark.parametrize("human", [True, False])
async def test_limits_and_states(people: People, devices: Devices, human: bool) -> None:
    config = people.cluster.resources.get(core.ClusterConfig, name="default")
    rules = config.spec.device.human if human else config.spec.device.workload
    rules.max_per_user, rules.default_state = 2, STATES.PENDING
    await people.cluster.change(config)
    user = people.bob if human else people.cluster.robot
    for digit in "ab":
        session = await people.session(user, client=True)
        device = await devices.register(session.refresh_token, info(digit), "test")
        assert device.spec.state == STATES.PENDING
    session = await people.session(user, client=True)
    for method in (devices.begin, devices.register):
        with pytest.raises(RefusedError, match="2 Devices"):
            await method(session.refresh_token, info("c"), "test")
    assert people.cluster.resources.count(core.Device) == 2


async def test_thirty_two_each(people: People, devices: Devices) -> None:
    for number in range(33):
        session = await people.session(people.cluster.robot, client=True)
        told = info(hostname="", id=f"{number:064x}")
        if number < 32:
            await devices.register(session.refresh_token, told, "test")
        else:
            with pytest.raises(RefusedError, match="32"):
                await devices.register(session.refresh_token, told, "test")


@pytest.mark.parametrize(
    "wrong",
    [
        {"os_type": 0},
        {"os_type": 99},
        {"id": "a" * 63},
        {"id": "A" * 64},
        {"id": "a" * 64 + "\n"},
        {"hostname": "x" * 33},
        {"hostname": "a\nb"},
        {"serial_number": "12345"},
        {"serial_number": "x" * 129},
        {"serial_number": "0"},
        {"serial_number": "Default String"},
        {"mac_addresses": ["00:11:22:33:44:55"] * 17},
        {"mac_addresses": ["x"]},
    ],
)
def test_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        info(**wrong)


@given(
    os_type=st.integers(),
    id=st.text(max_size=70),
    hostname=st.text(max_size=40),
    serial_number=st.text(max_size=140),
    mac_addresses=st.lists(st.text(max_size=30), max_size=20),
)
def test_nothing_of_the_kind_is_a_device(**told: Any) -> None:
    with pytest.raises(DeviceError):  # no such text is an id
        DeviceInfo(**told)
