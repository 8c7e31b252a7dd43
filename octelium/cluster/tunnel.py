"""What the supervisor keeps for the tunnel, so that it outlives every process that uses it.

That are the private network namespace, the sockets at which clients' datagrams arrive, and the one
at which the link process is asked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.cluster.sockets import ListenError, listen_udp
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
        """Descriptors of the gateway."""
        return {"udp": [bound.fileno() for bound in self.udp]}

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
    try:
        os.close(os.open(NODE, os.O_RDWR | os.O_CLOEXEC))
        udp = listen_udp(settings.wireguard_listen, "--wireguard-listen")
    except OSError as error:
        raise TunnelError(f"{NODE}: {error.strerror}; the kernel's TUN driver is needed") from error
    except ListenError as error:
        raise TunnelError(str(error)) from error
    try:
        namespace = make()
        try:
            return Ground("own", namespace, protocol.listen(layout.link), tuple(udp))
        except OSError as error:
            namespace.close()
            raise TunnelError(f"{layout.link}: {error}; a shorter --data-dir may help") from error
    except (NamespaceError, TunnelError) as error:
        for bound in udp:
            bound.close()
        raise TunnelError(str(error)) from error
