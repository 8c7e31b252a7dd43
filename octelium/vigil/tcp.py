"""Mode TCP: connections are let in or not, and passed on as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.vigil.splicing import Pipes
from octelium.vigil.stream import Stream

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from octelium.http.codec import Codec
    from octelium.http.exchange import Peer
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.origins import Origins
    from octelium.vigil.vigil import Vigil


class Tcp:
    """Serves connections on behalf of Services of mode TCP.

    The address and port that a client called are `place`; `left` is called at a connection's end.
    `pipes` bound what may stand still.
    """

    def __init__(self, vigil: Vigil, pipes: Pipes | None = None) -> None:
        self.vigil = vigil
        self.pipes = pipes or Pipes()

    @property
    def origins(self) -> Origins:
        """Makes contexts for TLS with upstreams."""
        return self.vigil.environment.origins

    def plain(
        self,
        service: ServiceEntry,
        peer: Peer,
        place: str,
        connection: socket.socket,
        left: Callable[[], None],
    ) -> Stream:
        """Serve a connection, which is the stream's own from here on."""
        stream = Stream(self, service, peer, place, left)
        stream.plain(connection)
        return stream

    def secured(
        self, service: ServiceEntry, peer: Peer, place: str, left: Callable[[], None]
    ) -> tuple[Stream, Codec]:
        """Serve a connection whose TLS ends here, and the codec that gets its bytes."""
        stream = Stream(self, service, peer, place, left)
        return stream, stream.secured()

    def close(self) -> None:
        """Let go of what is kept for connections to come."""
        self.pipes.close()
