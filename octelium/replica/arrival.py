"""How a stream came in. Identity follows from it, never from an address by itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """A stream accepted by a public listener.

    `address` and `port` are the peer's, as the socket or a trusted PROXY header gives them.
    """

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A stream from inside the private network, vouched for by the tunnel device.

    `session_uid` is the Session whose tunnel address the stream came from; `address` that address.
    """

    session_uid: str
    address: str


Arrival = FrontDoor | Tunnel
