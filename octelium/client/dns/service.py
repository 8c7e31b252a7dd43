"""How names of the private network become known to this host: the one way that it has."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

from octelium.client.dns import resolv_conf
from octelium.client.dns.forwarder import ADDRESSES, PORT, Forwarder, Route
from octelium.client.dns.guardian import Guardian
from octelium.client.dns.owners import DIRECTORY, Owners, new_owner, repair
from octelium.client.dns.resolved import Resolved
from octelium.client.dns.suffixes import private_suffixes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from octelium.client.dns.owners import Owner
    from octelium.client.dns.upstreams import Dial, Server

_DEFAULT: Final = ("127.0.0.1",)
"""Whom programs ask where no name server is named (resolv.conf(5))."""
_BY_ADDRESS: Final = "Services are reached by address, or by -p"


class HostNames:
    """A `NameService` of octelium.client.tunnel.names: systemd-resolved, or a forwarder of our own
    that a resolv.conf names, or a forwarder alone.

    Args:
        dial: gives sockets whose packets go through the tunnel.
        is_up: whether the tunnel works; without it private names are refused at once. What says
            no where a question would bring the tunnel up again keeps it down.
        zones: gives further suffixes that only the Cluster is asked for, at each `start`.
        listen: where the forwarder is to be, instead of where it likes; then it runs in any case,
            beside systemd-resolved too. With a port other than 53 no resolv.conf can name it.
        in_container: systemd-resolved is never used.
        warn: takes words for people.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        is_up: Callable[[], bool] = lambda: True,
        zones: Callable[[], Sequence[str]] = tuple,
        listen: Server | None = None,
        in_container: bool = False,
        warn: Callable[[str], None] = lambda _: None,
        path: Path = resolv_conf.PATH,
        directory: Path = DIRECTORY,
        resolved: Resolved | None = None,
    ) -> None:
        self._dial = dial
        self._is_up = is_up
        self._zones = zones
        self._listen = listen
        self._in_container = in_container
        self._warn = warn
        self._path = path
        self._directory = directory
        self._resolved = resolved or Resolved()
        self._device = ""
        self._forwarder: Forwarder | None = None
        self._former: tuple[Server, ...] = ()
        self._owners: Owners | None = None
        self._owner = ""
        self._guardian: Guardian | None = None
        self._told = ""
        # A task that is cancelled does not end the thread that works for it.
        self._changing = threading.Lock()

    async def start(self, device: str, servers: Sequence[str], domains: Sequence[str]) -> str:
        """Begin, or go on with other servers. What was done, for people.

        Raises:
            OSError: it cannot be; names are as before.
        """
        suffixes = private_suffixes(domains, self._zones())
        if self._device or await self._asks_resolved(device):
            await self._resolved.put(device, servers, domains, suffixes)
            self._device = device
            if self._listen is None:
                return _by_resolved(domains)
        if self._forwarder is not None:
            self._route(self._forwarder, servers, suffixes)
            return self._told
        try:
            await self._forward(device, servers, domains, suffixes)
        except OSError:
            await self._revert()
            raise
        return self._told

    async def stop(self) -> None:
        """Have everything as it was. May be called again."""
        await self._revert()
        try:
            await asyncio.to_thread(self._restore)
        except OSError as error:
            self._warn(f"{self._path} is not restored: {error}; the next connect tries again")
        finally:
            forwarder, self._forwarder = self._forwarder, None
            if forwarder is not None:
                await forwarder.close()

    async def _asks_resolved(self, device: str) -> bool:
        """Whether programs of this host ask systemd-resolved."""
        if not device or self._in_container:
            return False
        # It may be asked again once what a client has left is gone.
        await asyncio.to_thread(repair, self._warn, self._path, self._directory)
        return await self._resolved.is_used(self._path)

    async def _revert(self) -> None:
        device, self._device = self._device, ""
        try:
            if device:
                await self._resolved.revert(device)
        except OSError as error:  # it forgets a device that goes
            self._warn(f"systemd-resolved was not told of the end: {error}")

    async def _forward(
        self, device: str, servers: Sequence[str], domains: Sequence[str], suffixes: tuple[str, ...]
    ) -> None:
        forwarder = Forwarder(self._dial, is_up=self._is_up, others=self._others)
        addresses, port = ADDRESSES, PORT
        if self._listen is not None:
            addresses, port = (self._listen[0],), self._listen[1]
        try:
            where = await forwarder.start(addresses, port)
        except OSError as error:
            raise OSError(
                f"no name server can be at {addresses[0]} port {port}: {error}"
            ) from error
        try:
            self._former = await asyncio.to_thread(self._before)
            self._route(forwarder, servers, suffixes)
            self._told = await self._announce(where, device, domains, suffixes)
        except BaseException:
            await forwarder.close()
            raise
        self._forwarder = forwarder

    def _before(self) -> tuple[Server, ...]:
        """The name servers of this host without us; nothing changes. Raises OSError."""
        try:
            former = Owners(self._path, self._directory).former()
        except OSError:  # it cannot be ours to write, then, but nobody of us has written it either
            former = resolv_conf.parse(resolv_conf.read(self._path))
        return tuple((address, PORT) for address in former.nameservers or _DEFAULT)

    async def _announce(
        self, where: Server, device: str, domains: Sequence[str], suffixes: tuple[str, ...]
    ) -> str:
        """Have programs ask the forwarder. Raises OSError if they cannot, and nobody wants it."""
        here = f"a name server for {_starred(domains)} is at {where[0]} port {where[1]}"
        if self._device:
            return f"{_by_resolved(domains)}; {here}"
        alone = f"{here}; {self._path} is left as it is"
        if not device or where[1] != PORT:
            return alone
        owner = new_owner(where[0], domains, suffixes)
        try:
            await asyncio.to_thread(self._claim, owner)
        except OSError as error:
            if self._listen is None:
                raise OSError(f"{self._path}: {_words(error)}; {_BY_ADDRESS}") from error
            return f"{alone} ({_words(error)})"
        return f"{_starred(domains)} is looked up at the Cluster, all else as before ({self._path})"

    def _claim(self, owner: Owner) -> None:
        """Write ourselves into the resolv.conf, with somebody who undoes it. Raises OSError."""
        with self._changing:
            owners = Owners(self._path, self._directory)
            guardian = Guardian(owners, owner.id)
            try:
                owners.add(owner)
            except BaseException:
                guardian.dismiss()
                raise
            self._owners, self._owner, self._guardian = owners, owner.id, guardian

    def _restore(self) -> None:
        """Raises OSError."""
        with self._changing:
            owners, self._owners = self._owners, None
            guardian, self._guardian = self._guardian, None
            try:
                if owners is not None and (said := owners.remove(self._owner)):
                    self._warn(said)
            finally:
                if guardian is not None:
                    guardian.dismiss()

    def _route(
        self, forwarder: Forwarder, servers: Sequence[str], suffixes: tuple[str, ...]
    ) -> None:
        asked = tuple((server, PORT) for server in servers)
        forwarder.put(Route(suffixes, asked), self._former)

    def _others(self) -> list[Route]:
        if self._owners is None:
            return []
        found = self._owners.others(self._owner)
        return [Route(each.suffixes, ((each.address, PORT),)) for each in found]


def _starred(domains: Sequence[str]) -> str:
    return ", ".join(f"*.{domain}" for domain in domains)


def _by_resolved(domains: Sequence[str]) -> str:
    return f"{_starred(domains)} is looked up by systemd-resolved at the Cluster"


def _words(error: OSError) -> str:
    return error.strerror or str(error)
