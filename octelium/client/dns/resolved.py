"""systemd-resolved: a device's own name servers, and the domains that are theirs (resolvectl(1)).

What it is told goes with the device, in whatever way this process ends.
"""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Final

from octelium.client.dns import resolv_conf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SECONDS: Final = 10.0
_STUBS: Final = frozenset({"127.0.0.53", "127.0.0.54"})


class Resolved:
    """The service, by the commands that come with it."""

    def __init__(self, search_path: str | None = None) -> None:
        self._systemctl = shutil.which("systemctl", path=search_path)
        self._resolvectl = shutil.which("resolvectl", path=search_path)

    async def is_used(self, path: Path = resolv_conf.PATH) -> bool:
        """Whether it runs, and programs of this host ask it."""
        if self._systemctl is None or self._resolvectl is None:
            return False
        if not await asyncio.to_thread(_leads_there, path):
            return False
        # `resolvectl` would start it.
        words = (self._systemctl, "is-active", "--quiet", "systemd-resolved.service")
        try:
            await _run(*words)
        except OSError:
            return False
        return True

    async def put(
        self, device: str, servers: Sequence[str], domains: Sequence[str], routed: Sequence[str]
    ) -> None:
        """Have names of `domains` (which are searched, too) and `routed` asked for at a device.

        Raises:
            OSError: it refused; the device is as before.
        """
        assert self._resolvectl is not None
        only = (f"~{each}" for each in routed if each not in domains)
        try:
            await _run(self._resolvectl, "dns", device, *servers)
            await _run(self._resolvectl, "domain", device, *domains, *only)
            await _run(self._resolvectl, "default-route", device, "no")
        except OSError:
            await self.revert(device)
            raise

    async def revert(self, device: str) -> None:
        """Forget what was said of a device. Raises OSError."""
        assert self._resolvectl is not None
        await _run(self._resolvectl, "revert", device)


def _leads_there(path: Path) -> bool:
    if resolv_conf.is_of_resolved(path):
        return True
    return bool(_STUBS & set(resolv_conf.parse(resolv_conf.read(path)).nameservers))


async def _run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise OSError(f"{words[0]} {words[1]} does not end within {_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise OSError(f"{words[0]} {words[1]}: {lines[-1] if lines else process.returncode}")
