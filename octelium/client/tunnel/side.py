"""Where a tunnel's IP side is: what every such place offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import socket

    from octelium.client.tunnel.state import Connected

Kind = Literal["tcp", "udp"]


class Side(Protocol):
    """A TUN device with addresses and routes, and sockets of the network that it is in."""

    name: str
    """For people: `this host` or `a private network of this process`."""
    device: str
    """The device's name."""
    is_of_host: bool
    """Whether all programs of this host can reach what the tunnel leads to."""

    @property
    def namespace(self) -> list[int]:
        """Descriptors of the network that the device is in; none if that is this process's own."""

    async def open(self, connected: Connected) -> int:
        """Make the device. Its descriptor, which stays this object's to close.

        Raises:
            TunnelError: it cannot be; nothing of it stays.
        """

    async def put(self, connected: Connected) -> None:
        """Have other addresses and routes.

        Raises:
            TunnelError: they cannot be.
        """

    async def dial(self, kind: Kind, family: int) -> socket.socket:
        """An unconnected socket, of AF_INET or AF_INET6, whose packets all go through the tunnel.

        Raises:
            OSError: refused.
        """

    async def listen(self, kind: Kind, address: str, port: int) -> socket.socket:
        """A socket that listens at an address of this end.

        Raises:
            OSError: refused, or the port is taken.
        """

    async def release(self, kind: Kind, address: str, port: int) -> None:
        """The socket that listened there is closed."""

    async def close(self) -> None:
        """Take everything away. May be called again."""
