from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from grpc.aio import AioRpcError

from octelium.apiserver.auth import DESCRIPTOR, LIMITS, MAX_REQUEST_BYTES, methods
from octelium.apiserver.devices import DeviceService
from octelium.apiserver.rpc import Binding
from octelium.identity.devices import Devices
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from tests.apiserver.calls import PAGES, Calls, from_page, serving
from tests.identity.authenticators.people import People, open_people

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

CODE = grpc.StatusCode
LINUX = auth.RegisterDeviceRequestInfoOsType__.LINUX


@pytest_asyncio.fixture(name="people")
async def people_fixture(tmp_path: Path) -> AsyncIterator[People]:
    async with open_people(tmp_path) as people:
        yield people


@pytest_asyncio.fixture(name="calls")
async def calls_fixture(people: People, tmp_path: Path) -> AsyncIterator[Calls]:
    cluster = people.cluster
    devices = Devices(cluster.resources, cluster.keyring, clock=cluster.clock)
    service = methods(DeviceService(devices, PAGES))
    async with serving(Binding(DESCRIPTOR, service, MAX_REQUEST_BYTES), tmp_path, LIMITS) as calls:
        yield calls


def by(session: IssuedTokens) -> list[tuple[str, str]]:
    return [("x-octelium-refresh-token", session.refresh_token)]


def info(digit: str = "a", **more: Any) -> auth.RegisterDeviceRequestInfo:
    return auth.RegisterDeviceRequestInfo(
        **{"os_type": LINUX, "id": digit * 64, "hostname": "laptop", **more}
    )


async def code(calls: Calls, method: str, *args: Any) -> grpc.StatusCode:
    with pytest.raises(AioRpcError) as caught:
        await calls(method, *args)
    return caught.value.code()


async def test_two_steps(people: People, calls: Calls) -> None:
    session = await people.session(client=True)
    begin = auth.RegisterDeviceBeginRequest(info=info(mac_addresses=["00:11:22:33:44:55"]))
    begun = await calls("RegisterDeviceBegin", begin, by(session))
    finish = auth.RegisterDeviceFinishRequest(uid=begun.uid)
    await calls("RegisterDeviceFinish", finish, by(session))
    (device,) = people.cluster.resources.list(core.Device)
    assert people.get(session.session).status.device_ref.uid == device.metadata.uid
    assert await code(calls, "RegisterDeviceBegin", begin, by(session)) is CODE.ALREADY_EXISTS
    assert await code(calls, "RegisterDeviceFinish", finish, by(session)) is CODE.INVALID_ARGUMENT

    second = await people.session(client=True)
    assert await code(calls, "RegisterDeviceBegin", begin, by(second)) is CODE.ALREADY_EXISTS
    assert people.get(second.session).status.device_ref.uid == device.metadata.uid
    bob = await people.session(people.bob, client=True)
    assert await code(calls, "RegisterDeviceBegin", begin, by(bob)) is CODE.INVALID_ARGUMENT


async def test_one_step_and_codes(people: People, calls: Calls) -> None:
    session, browser = await people.session(client=True), await people.session()
    request = auth.RegisterDeviceRequest(info=info())
    assert await code(calls, "RegisterDevice", request) is CODE.UNAUTHENTICATED
    assert await code(calls, "RegisterDevice", request, by(browser)) is CODE.PERMISSION_DENIED
    cookie = from_page(PAGES.portal, browser.refresh_token)
    assert await code(calls, "RegisterDevice", request, cookie) is CODE.PERMISSION_DENIED
    wrong = auth.RegisterDeviceRequest(info=info("A"))
    assert await code(calls, "RegisterDevice", wrong, by(session)) is CODE.INVALID_ARGUMENT
    assert people.cluster.resources.count(core.Device) == 0
    assert await calls("RegisterDevice", request, by(session)) == auth.RegisterDeviceResponse()


async def test_there_are_no_probes(people: People, calls: Calls) -> None:
    session = await people.session(client=True)
    begun = await calls("RunDeviceProbeBegin", None, by(session))
    assert begun == auth.RunDeviceProbeBeginResponse()
    finish = auth.RunDeviceProbeFinishRequest(attempt_uid="x")
    revision = people.cluster.resources.revision
    assert await calls("RunDeviceProbeFinish", finish, by(session)) is not None
    assert people.cluster.resources.revision == revision
    for method in ("RunDeviceProbeBegin", "RunDeviceProbeFinish"):
        assert await code(calls, method) is CODE.UNAUTHENTICATED
