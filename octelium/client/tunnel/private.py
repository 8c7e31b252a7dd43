"""The tunnel's device in a private network of this process: no privilege is needed.

Nothing of the host changes; published and served Services are what can be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.tasks import begin
from octelium.http.tasks import spawn
from octelium.tunnel.link import launch, namespace, protocol
from octelium.tunnel.link.plan import DEVICE, FirewallPlan, LinkPlan
from octelium.tunnel.link.sockets import LinkSockets

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Coroutine
    from typing import Any

    from octelium.client.tunnel.side import Kind
    from octelium.client.tunnel.state import Connected
    from octelium.tunnel.link.namespace import PrivateNamespace

_PAUSE: Final = 0.2
"""Seconds before a link process that ended is replaced."""


class PrivateSide:
    """A `Side`; see there. With `serves`, Services may begin connections to this end. `offload` is
    what the engine wants.
    """

    name = "a private network of this process"
    is_of_host = False

    device = DEVICE

    def __init__(self, *, serves: bool, offload: bool = True) -> None:
        self._serves = serves
        self._offload = offload
        self._stack = contextlib.ExitStack()
        self._namespace: PrivateNamespace | None = None
        self._listening: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._link: LinkSockets | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def namespace(self) -> list[int]:
        """The private network's."""
        return [] if self._namespace is None else self._namespace.descriptors

    async def open(self, connected: Connected) -> int:
        """Make the network and the device in it."""
        try:
            self._namespace = await asyncio.to_thread(namespace.make)
            self._stack.callback(self._namespace.close)
            folder = Path(tempfile.mkdtemp(prefix="octelium-"))
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._listening = protocol.listen(folder / "link")
            self._stack.callback(self._listening.close)
            self._link = LinkSockets(folder / "link", spare=4)
            self._stack.callback(self._link.close)
            self._process = launch.spawn(self._listening, self._namespace)
            await self._unless_it_ends(self._link.configure(self._plan(connected)))
            descriptor: int = await self._unless_it_ends(self._link.tun())
        except namespace.NamespaceError as error:
            await self.close()
            raise TunnelError(f"no private network can be had: {error}") from error
        except OSError as error:
            await self.close()
            why = error.strerror or str(error)
            raise TunnelError(f"no private network can be had: {why}") from error
        self._stack.callback(os.close, descriptor)
        self._watch = spawn(self._keep(), name="link process")
        return descriptor

    async def put(self, connected: Connected) -> None:
        """Have other addresses and routes."""
        try:
            await self._its().configure(self._plan(connected))
        except OSError as error:
            raise TunnelError(f"the private network cannot be changed: {error}") from error

    async def dial(self, kind: Kind, family: int) -> socket.socket:
        """A socket of the private network."""
        return await self._its().dial(kind, family)

    async def listen(self, kind: Kind, address: str, port: int) -> socket.socket:
        """A socket for the port of every address of its family: all of them are ours alone."""
        return await self._its().listen(kind, _family(address), port)

    async def release(self, kind: Kind, address: str, port: int) -> None:
        """The port is free again."""
        if self._link is not None:
            await self._link.release(kind, _family(address), port)

    async def close(self) -> None:
        """End the network and the link process."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._stack.close()
        self._link = None
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            await asyncio.to_thread(process.wait)

    def _its(self) -> LinkSockets:
        if self._link is None:
            raise OSError("the private network is closed")
        return self._link

    def _plan(self, connected: Connected) -> LinkPlan:
        wall = FirewallPlan(connected.routes, connected.addresses, incoming=self._serves)
        return LinkPlan(
            connected.mtu,
            tun_routes=connected.routes,
            tun_addresses=connected.addresses,
            firewall=wall,
            offload=self._offload,
        )

    async def _unless_it_ends(self, asked: Coroutine[Any, Any, Any]) -> Any:
        """What the link process answers.

        Raises:
            OSError: it refused, or ended.
        """
        answer = begin(asked, name="link")
        ended = begin(self._ended(), name="end of the link")
        try:
            await asyncio.wait((answer, ended), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise OSError("its link process ended; what it says is above")
            return answer.result()
        finally:
            for each in (answer, ended):
                each.cancel()

    async def _ended(self) -> None:
        """Wait until the link process is gone (pidfd_open(2))."""
        process = self._process
        assert process is not None
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        process.wait()

    async def _keep(self) -> None:
        """Replace the link process whenever it ends; device and sockets stay."""
        while True:
            await self._ended()
            await asyncio.sleep(_PAUSE)
            assert self._listening is not None
            assert self._namespace is not None
            self._process = launch.spawn(self._listening, self._namespace)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
