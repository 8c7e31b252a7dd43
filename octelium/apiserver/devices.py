"""auth.v1 about Devices: a client tells which computer it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity.devices import DeviceInfo
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from octelium.apiserver.cookies import BrowserPages
    from octelium.apiserver.rpc import Call
    from octelium.identity.devices import Devices


class DeviceService:
    """The methods about the caller's Device."""

    def __init__(self, devices: Devices, pages: BrowserPages) -> None:
        self._devices = devices
        self._pages = pages

    async def register_device(
        self, request: auth.RegisterDeviceRequest, call: Call
    ) -> auth.RegisterDeviceResponse:
        """Register the client's Device; ALREADY_EXISTS means that it is bound to one."""
        await self._devices.register(self._token(call), _info(request.info), call.operation)
        return auth.RegisterDeviceResponse()

    async def register_device_begin(
        self, request: auth.RegisterDeviceBeginRequest, call: Call
    ) -> auth.RegisterDeviceBeginResponse:
        """The first of two steps that do the same."""
        uid = await self._devices.begin(self._token(call), _info(request.info), call.operation)
        return auth.RegisterDeviceBeginResponse(uid=uid)

    async def register_device_finish(
        self, request: auth.RegisterDeviceFinishRequest, call: Call
    ) -> auth.RegisterDeviceFinishResponse:
        """The second."""
        await self._devices.finish(self._token(call), request.uid, call.operation)
        return auth.RegisterDeviceFinishResponse()

    async def run_device_probe_begin(
        self, _request: auth.RunDeviceProbeBeginRequest, call: Call
    ) -> auth.RunDeviceProbeBeginResponse:
        """Which probes a client is to run: none, as no device manager asks for any."""
        await self._devices.check(self._token(call), call.operation)
        return auth.RunDeviceProbeBeginResponse()

    async def run_device_probe_finish(
        self, _request: auth.RunDeviceProbeFinishRequest, call: Call
    ) -> auth.RunDeviceProbeFinishResponse:
        """What they found: nothing was asked for, so nothing is kept."""
        await self._devices.check(self._token(call), call.operation)
        return auth.RunDeviceProbeFinishResponse()

    def _token(self, call: Call) -> str:
        return self._pages.refresh_token(call)


def _info(given: auth.RegisterDeviceRequestInfo) -> DeviceInfo:
    return DeviceInfo(
        os_type=given.os_type,
        id=given.id,
        hostname=given.hostname,
        serial_number=given.serial_number,
        mac_addresses=tuple(given.mac_addresses),
    )
