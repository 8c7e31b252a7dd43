"""What the supervisor keeps for the tunnel, so that it outlives every process that uses it.

That are the private network namespace, the sockets at which clients' datagrams arrive, and the
doors by which the link process is asked.
"""

from __future__ import annotations

import ipaddress
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.cluster.sockets import ListenError, listen_udp
from octelium.tunnel.engines.choose import choose
from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.link import doors
from octelium.tunnel.link.doors import ROLES
from octelium.tunnel.link.namespace import NamespaceError, PrivateNamespace, make
from octelium.tunnel.link.tun import NODE

if TYPE_CHECKING:
    import socket

    from octelium.cluster.settings import Settings
    from octelium.tunnel.link.doors import Door


class TunnelError(Exception):
    """This machine can be no Gateway; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is kept. `close` it at the end."""

    engine: str
    namespace: PrivateNamespace
    doors: tuple[Door, ...]
    udp: tuple[socket.socket, ...]

    def for_link(self) -> dict[str, list[int]]:
        """Descriptors of the link process."""
        ends = {door.role: [door.inner.fileno()] for door in self.doors}
        return {**ends, "namespace": self.namespace.descriptors}

    def door(self, role: str) -> dict[str, list[int]]:
        """The descriptor by which a process of that role asks the link process."""
        return {"link": [door.outer.fileno() for door in self.doors if door.role == role]}

    def for_gateway(self) -> dict[str, list[int]]:
        """Descriptors of the gateway; those of the namespace are for an engine that goes there."""
        namespace = [] if self.udp else self.namespace.descriptors
        bound = [each.fileno() for each in self.udp]
        return {"udp": bound, "namespace": namespace, **self.door("gateway")}

    def describe(self, settings: Settings) -> str:
        """In a few words, for who starts it."""
        side = "a network namespace"
        if self.namespace.user is not None:
            side = "an unprivileged user and network namespace"
        return f"WireGuard at UDP {settings.wireguard_listen}, engine {self.engine}, TUN in {side}"

    def close(self) -> None:
        """Let go of everything."""
        for door in self.doors:
            door.close()
        for bound in self.udp:
            bound.close()
        self.namespace.close()


def prepare(settings: Settings) -> Ground:
    """Get everything that a tunnel needs before its processes start.

    Raises:
        TunnelError: something cannot be had.
    """
    engine = _engine(settings)
    with ExitStack() as stack:
        try:
            os.close(os.open(NODE, os.O_RDWR | os.O_CLOEXEC))
            udp: list[socket.socket] = []
            if engine == "own":
                udp = listen_udp(settings.wireguard_listen, "--wireguard-listen")
            for bound in udp:
                stack.callback(bound.close)
            ways: list[Door] = []
            for role in ROLES:
                ways.append(doors.make(role))
                stack.callback(ways[-1].close)
            # Another engine enters the private network, and has no capability to do it with.
            namespace = make(with_user=engine != "own")
        except (ListenError, NamespaceError) as error:
            raise TunnelError(str(error)) from error
        except OSError as error:
            remedy = "the kernel's TUN driver is needed: modprobe tun, or --device of containers"
            if isinstance(error, PermissionError):
                remedy = f"start as root, or let this user open it: chmod 0666 {NODE}"
            raise TunnelError(f"{NODE}: {error.strerror}; {remedy}") from error
        stack.pop_all()
    return Ground(engine, namespace, tuple(ways), tuple(udp))


def _engine(settings: Settings) -> str:
    """The engine to have. One that makes its own sockets has them at every address."""
    host = settings.wireguard_listen.host
    everywhere = not host or ipaddress.ip_address(host).is_unspecified
    if settings.engine == "auto" and not everywhere:
        return "own"
    try:
        choice = choose(settings.engine)
    except EngineError as error:
        raise TunnelError(str(error)) from error
    if not choice.wants_sockets and not everywhere:
        raise TunnelError(
            f"--engine {choice.name} is at every address: use --engine own, or"
            f" --wireguard-listen :{settings.wireguard_listen.port}"
        )
    return choice.name
