"""wireguard-go as a process: found, started where its TUN device is, and ended."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octelium.tunnel.engines import binding
from octelium.tunnel.engines.interface import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOG = logging.getLogger(__name__)
SETTING: Final = "OCTELIUM_WIREGUARD_GO"
"""The environment variable with the program's path, if it is not on PATH."""
_OFFLOAD_SINCE: Final = 20230223
"""The first release that knows IFF_VNET_HDR, UDP_SEGMENT and UDP_GRO."""
_ENTER: Final = Path(__file__).with_name("enter.py")
_SECONDS: Final = 10.0
_UDP_GRO: Final = 104
_IP_PKTINFO: Final = 8
_BUFFER: Final = 4 << 20
_VERSION = re.compile(r"v0\.0\.(\d{8})")


def find(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the program is; None if it is not installed.

    Raises:
        EngineError: the setting names something else.
    """
    named = environment.get(SETTING)
    found = shutil.which(named or "wireguard-go", path=environment.get("PATH"))
    if found is None and named:
        raise EngineError(f"{SETTING}: {named} is no program that can be run")
    return None if found is None else Path(found)


def release(program: Path) -> int:
    """The date of its release, such as 20220316; 0 if it does not tell.

    Raises:
        EngineError: it cannot be run.
    """
    try:
        said = subprocess.run(  # noqa: S603  (the program that the operator installed)
            [program, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{program} cannot be run: {error}") from error
    found = _VERSION.search(said.stdout)
    return int(found[1]) if found else 0


def knows_offload(program: Path) -> bool:
    """Whether it takes a TUN device with IFF_VNET_HDR. Raises EngineError."""
    return release(program) >= _OFFLOAD_SINCE


class Program:
    """One process; `uapi` is the path of its socket.

    Attributes:
        tun: the descriptor of its device, called `device`, in `namespace`; empty for our own.
        folder: for its socket, which nobody else may reach.
    """

    def __init__(
        self,
        program: Path,
        *,
        tun: int,
        device: str,
        folder: Path,
        port: int,
        namespace: Sequence[int] = (),
        offload: bool = False,
    ) -> None:
        self.uapi = folder / f"{device}.sock"
        self._program = program
        self._tun = tun
        self._device = device
        self._port = port
        self._namespace = list(namespace)
        self._offload = offload
        self._process: asyncio.subprocess.Process | None = None
        self._binder: binding.Binder | None = None
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait for its socket. Raises EngineError."""
        self.uapi.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.uapi.unlink(missing_ok=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            await self._spawn(theirs)
            theirs.close()
            await self._introduced(ours)
        assert self._process is not None
        assert self._process.stdout is not None
        reading = _pass_on(self._process.stdout)
        self._drain = asyncio.get_running_loop().create_task(reading, name="wireguard-go")
        try:
            async with asyncio.timeout(_SECONDS):
                while not self.uapi.is_socket():
                    if self._process is None or self._process.returncode is not None:
                        raise EngineError("wireguard-go ended at once; is the TUN device there?")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise EngineError("wireguard-go does not open its socket") from None

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        return await self._process.wait()

    def kill(self) -> None:
        """End it without waiting; `ended` then returns."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
        if self._drain is not None:
            await self._drain  # it ends with the program's output
        if self._binder is not None:
            self._binder.join(_SECONDS)  # it ends with the program
            self._binder = None
        self.uapi.unlink(missing_ok=True)

    async def _spawn(self, channel: socket.socket) -> None:
        call = code = None
        if self._namespace:
            try:
                code = binding.seccomp_filter().hex()
            except NotImplementedError as error:
                raise EngineError(f"wireguard-go in a private network: {error}") from error
            call = binding.BINDS[platform.machine()][1]
        given = {
            "channel": channel.fileno(),
            "namespace": self._namespace,
            "folder": str(self.uapi.parent),
            "seccomp": call,
            "filter": code,
            "tun": self._tun,
            "parent": os.getpid(),
            "words": [str(self._program), "-f", self._device],
            "environment": {"WG_TUN_FD": str(self._tun), "LOG_LEVEL": "error"},
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(_ENTER),
            json.dumps(given),
            pass_fds=(channel.fileno(), self._tun, *self._namespace),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    async def _introduced(self, channel: socket.socket) -> None:
        """Take the descriptor of the kernel's questions, or the complaint."""
        loop = asyncio.get_running_loop()
        assert self._process is not None
        try:
            async with asyncio.timeout(_SECONDS):
                data, listeners = await loop.run_in_executor(None, _receive, channel)
                if data != b"x":
                    assert self._process.stdout is not None
                    complaint = (await self._process.stdout.read(2000)).decode().strip()
                    raise EngineError(f"wireguard-go cannot be started: {complaint}")
        except TimeoutError:
            raise EngineError("wireguard-go is not started in time") from None
        for listener in listeners:
            self._binder = binding.Binder(listener, self._bound)
            self._binder.start()

    def _bound(self, family: socket.AddressFamily) -> socket.socket:
        """A socket like that which the program would have bound here."""
        made = socket.socket(family, socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            if self._offload:
                made.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
            made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", self._port))  # noqa: S104
        except BaseException:
            made.close()
            raise
        return made


async def _pass_on(stream: asyncio.StreamReader) -> None:
    """Log what the program complains of, and let no pipe fill up."""
    while data := await stream.read(1 << 16):
        for line in data.decode(errors="replace").splitlines():
            if "ERROR" in line:
                _LOG.warning("wireguard-go: %s", line[:500])


def _receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    channel.settimeout(_SECONDS)
    data, descriptors, *_ = socket.recv_fds(channel, 1, 1)
    return data, descriptors
