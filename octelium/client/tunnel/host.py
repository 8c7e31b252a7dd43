"""The tunnel's device in this host's own network: every program reaches the Services."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import string
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.firewall import PREFIX, HostFirewall
from octelium.tunnel.link import addresses, opening, sysctls, tun
from octelium.tunnel.link.addresses import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.client.tunnel.side import Kind
    from octelium.client.tunnel.state import Connected
    from octelium.tunnel.link.addresses import Range

_LETTERS: Final = string.ascii_lowercase + string.digits
_BACKLOG: Final = 128
_SETTINGS: Final = Path("/proc/sys/net/ipv6/conf")
_ELSEWHERE: Final = (
    "leave the other network, or connect without touching this host's: --implementation gvisor, "
    "with -p for the Services that are needed"
)


class HostSide:
    """A `Side`; see there. Needs CAP_NET_ADMIN.

    The device is not persistent: with this process it ends, and its addresses and routes with it,
    in whatever way the process does. So does its firewall, which lets in what is served here and
    what was asked for. `offload` is what the engine wants.
    """

    name = "this host"
    is_of_host = True

    def __init__(self, device: str | None = None, *, offload: bool = True) -> None:
        self._offload = offload
        self.device = device or f"{PREFIX}{''.join(secrets.choice(_LETTERS) for _ in range(6))}"
        self._descriptor: int | None = None
        self._firewall = HostFirewall(self.device)

    @property
    def namespace(self) -> list[int]:
        """None but our own."""
        return []

    async def open(self, connected: Connected) -> int:
        """Make the device, unless its routes overlap with others of this host."""
        self._refuse_overlaps(connected)
        try:
            self._descriptor = self._opened()
            self._firewall.put()  # nothing is open in between
            sysctls.apply_to(self.device)
            addresses.set_up(self.device, connected.mtu)
            self._put(connected)
            tun.settle(self.device)
        except OSError as error:
            await self.close()
            # A private network has such a device, too; what has to be done here was said.
            helps = os.access(tun.NODE, os.R_OK | os.W_OK)
            raise TunnelError(
                f"this host cannot have a tunnel device: {error.strerror or error}",
                "connect without touching this host's network: --implementation gvisor"
                if helps
                else "",
            ) from error
        return self._descriptor

    async def put(self, connected: Connected) -> None:
        """Have other addresses and routes."""
        self._refuse_overlaps(connected)
        try:
            self._put(connected)
        except OSError as error:
            raise TunnelError(f"{self.device}: {error.strerror or error}") from error

    async def dial(self, kind: Kind, family: int) -> socket.socket:
        """A socket bound to the device: without it nothing goes out elsewhere in the clear."""
        made = opening.unconnected(kind, family)
        return self._bound(made, lambda: None)

    async def listen(self, kind: Kind, address: str, port: int) -> socket.socket:
        """A socket that hears the device alone, whoever else can send to this address."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
        made = socket.socket(family, kinds[kind] | socket.SOCK_NONBLOCK)

        def listen() -> None:
            if kind == "tcp":  # in UDP it would let two of us have the port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if kind == "tcp":
                made.listen(_BACKLOG)
            self._firewall.serve(kind, address, port)

        return self._bound(made, listen)

    async def release(self, kind: Kind, address: str, port: int) -> None:
        """Nobody can connect there any longer."""
        self._firewall.stop(kind, address, port)

    async def close(self) -> None:
        """End the device."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._firewall.close()
            await asyncio.sleep(0)

    def _opened(self) -> int:
        return tun.open_tun(self.device, persistent=False, offload=self._offload).descriptor

    def _bound(self, made: socket.socket, then: Callable[[], None]) -> socket.socket:
        try:
            name = self.device.encode()
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            then()
        except BaseException:
            made.close()
            raise
        return made

    def _refuse_overlaps(self, connected: Connected) -> None:
        """Whoever has this host's network, or a way out of it, keeps it."""
        asked = {text: f"the Cluster's range {text}" for text in connected.routes}
        asked |= {
            text: f"the Cluster has this host be {text}, which" for text in connected.addresses
        }
        try:
            found = addresses.overlapping(asked, besides=(self.device,))
        except OSError as error:
            raise TunnelError(f"this host's routes cannot be read: {error}") from error
        for conflict in found:
            raise TunnelError(f"{asked[conflict.range]} {conflict.what}", _ELSEWHERE)

    def _put(self, connected: Connected) -> None:
        addresses.put_addresses(self.device, _usable(connected.addresses))
        index = socket.if_nametoindex(self.device)
        ranges: list[Range] = [ip_network(text) for text in _usable(connected.routes)]
        addresses.put_routes([Route(each, index, False) for each in ranges], devices={index})


def has_ipv6(settings: Path = _SETTINGS) -> bool:
    """Whether a new device can have addresses of IPv6.

    Containers often have it switched off (ip-sysctl.rst, `disable_ipv6`), in files that they cannot
    write.
    """
    switch = settings / "default/disable_ipv6"
    try:
        is_off = switch.read_text("ascii").strip() != "0"
    except FileNotFoundError:
        return False
    return not is_off or os.access(switch, os.W_OK)


def _usable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Without IPv6 where there is none."""
    return texts if has_ipv6() else tuple(text for text in texts if ":" not in text)
