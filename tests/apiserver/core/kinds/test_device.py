from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference
from tests.apiserver.harness import codes

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

STATES = core.DeviceSpecState__


@pytest.fixture
async def device(api: Harness) -> core.Device:
    made = core.Device()
    made.metadata.name = "linux-aaaaaaaa"
    made.spec.state = STATES.ACTIVE
    made.status.os_type = core.DeviceStatusOsType__.LINUX
    made.status.user_ref.CopyFrom(reference(api.root))
    stored: core.Device = (await api.store(made))[0]
    return stored


async def bind(api: Harness, device: core.Device, session: core.Session) -> None:
    async with api.resources.transaction() as tx:
        bound = tx.get(core.Session, uid=session.metadata.uid)
        bound.status.device_ref.CopyFrom(reference(device))
        tx.update(bound)


async def test_approving_and_rejecting(api: Harness, device: core.Device) -> None:
    device.spec.state = STATES.REJECTED
    device.status.hostname = "forged"
    updated = await api.core("UpdateDevice", device)
    assert updated.spec.state == STATES.REJECTED
    assert updated.status.hostname == ""
    device.spec.state = STATES.STATE_UNKNOWN
    assert codes(await api.refused("UpdateDevice", device))[0] == "INVALID_ARGUMENT"


async def test_nobody_suspends_his_own(api: Harness, device: core.Device) -> None:
    await bind(api, device, api.session)
    device.spec.state = STATES.PENDING
    error = await api.refused("UpdateDevice", device)
    assert codes(error) == ("PERMISSION_DENIED", "you cannot suspend your own Device")
    device.spec.state = STATES.ACTIVE
    await api.core("UpdateDevice", device)


async def test_its_sessions_end_with_it(api: Harness, device: core.Device) -> None:
    session = (await api.store(api.new_session(api.root, "root-other1")))[0]
    await bind(api, device, session)
    before = api.resources.revision
    await api.core("DeleteDevice", meta.DeleteOptions(name="linux-aaaaaaaa"))
    assert api.resources.revision == before + 1
    assert [s.metadata.uid for s in api.resources.list(core.Session)] == [api.session.metadata.uid]


async def test_listing_by_user(api: Harness, device: core.Device) -> None:
    for name, expected in (("root", ["linux-aaaaaaaa"]), ("octelium", [])):
        options = core.ListDeviceOptions(user_ref=meta.ObjectReference(name=name))
        listed = await api.core("ListDevice", options)
        assert [item.metadata.name for item in listed.items] == expected
