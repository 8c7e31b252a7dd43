"""What the supervisor keeps for the tunnel, so that it outlives every process that uses it.

That are the private network namespace, the sockets at which clients' datagrams arrive, and the one
at which the link process is asked.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.cluster.sockets import ListenError, listen_udp
from octelium.tunnel.engines.choose import choose
from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.link import protocol
from octelium.tunnel.link.namespace import NamespaceError, PrivateNamespace, make
from octelium.tunnel.link.tun import NODE

if TYPE_CHECKING:
    import socket

    from octelium.cluster.layout import Layout
    from octelium.cluster.settings import Settings


class TunnelError(Exception):
    """This machine can be no Gateway; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is kept. `close` it at the end."""

    engine: str
    namespace: PrivateNamespace
    link: socket.socket
    udp: tuple[socket.socket, ...]

    def for_link(self) -> dict[str, list[int]]:
        """Descriptors of the link process."""
        return {"link": [self.link.fileno()], "namespace": self.namespace.descriptors}

    def for_gateway(self) -> dict[str, list[int]]:
        """Descriptors of the gateway; those of the namespace are for an engine that goes there."""
        namespace = [] if self.udp else self.namespace.descriptors
        return {"udp": [bound.fileno() for bound in self.udp], "namespace": namespace}

    def describe(self, settings: Settings) -> str:
        """In a few words, for who starts it."""
        side = "a network namespace"
        if self.namespace.user is not None:
            side = "an unprivileged user and network namespace"
        return f"WireGuard at UDP {settings.wireguard_listen}, engine {self.engine}, TUN in {side}"

    def close(self) -> None:
        """Let go of everything."""
        for bound in (self.link, *self.udp):
            bound.close()
        self.namespace.close()


def prepare(settings: Settings, layout: Layout) -> Ground:
    """Get everything that a tunnel needs before its processes start.

    Raises:
        TunnelError: something cannot be had.
    """
    engine = _engine(settings)
    udp: list[socket.socket] = []
    namespace: PrivateNamespace | None = None
    try:
        os.close(os.open(NODE, os.O_RDWR | os.O_CLOEXEC))
        if engine == "own":
            udp = listen_udp(settings.wireguard_listen, "--wireguard-listen")
        # Another engine enters the private network, and has no capability to do it with.
        namespace = make(with_user=engine != "own")
        return Ground(engine, namespace, protocol.listen(layout.link), tuple(udp))
    except (OSError, ListenError, NamespaceError) as error:
        for bound in udp:
            bound.close()
        if namespace is not None:
            namespace.close()
            raise TunnelError(f"{layout.link}: {error}; a shorter --data-dir may help") from error
        if isinstance(error, OSError):
            remedy = "the kernel's TUN driver is needed: modprobe tun, or --device of containers"
            if isinstance(error, PermissionError):
                remedy = f"start as root, or let this user open it: chmod 0666 {NODE}"
            raise TunnelError(f"{NODE}: {error.strerror}; {remedy}") from error
        raise TunnelError(str(error)) from error


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
