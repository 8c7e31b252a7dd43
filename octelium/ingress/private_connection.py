"""A connection of the private network from its acceptance to the codec that speaks with it."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

from octelium.ingress.accepted import Accepted

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from octelium.http.codec import Codec
    from octelium.http.ticker import Ticker
    from octelium.http.tls import TLSLayer

_LOG = logging.getLogger(__name__)

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first that knows of HTTP/2 (RFC 9113, section 3.4)."""


class PrivateConnection(Accepted):
    """Chooses the codec.

    `make(alpn)` gives it, with `h2` where that was agreed on, or begun by a client in the clear if
    `h2c` allows that. With `context` the connection is TLS, and ends when the handshake takes
    longer than until `deadline`. `left` is called at its end, once.
    """

    def __init__(
        self,
        make: Callable[[str | None], Codec],
        left: Callable[[], None],
        ticker: Ticker,
        *,
        h2c: bool,
        context: ssl.SSLContext | None,
        deadline: float,
    ) -> None:
        self._make = make
        self._left: Callable[[], None] | None = left
        self._ticker = ticker
        self._h2c = h2c
        self._context = context
        self._deadline = deadline
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._aborted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with TLS, or wait for the first bytes."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses
        if self._aborted:
            self._transport.abort()  # type: ignore[union-attr]  # set above
            return
        if self._context is not None:
            self._ticker.add(self)
            self._secure(transport, self._context)
        elif self._h2c:
            self._ticker.add(self)
        else:
            self._begin(None)

    def abort(self) -> None:
        """Break the connection off."""
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Enforce the time-out of what comes before the first request."""
        if now >= self._deadline:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes in the clear."""
        if self._codec is not None:
            self._codec.data_received(data)
            return
        self._first += data
        if not _PREFACE.startswith(self._first[: len(_PREFACE)]):
            self._begin(None)
        elif len(self._first) >= len(_PREFACE):
            self._begin("h2")

    def _begin(self, alpn: str | None) -> None:
        self._ticker.discard(self)
        codec = self._codec = self._make(alpn)
        codec.connection_made(self._transport)
        if self._first:
            data, self._first = self._first, b""
            codec.data_received(data)

    def established(self, layer: TLSLayer) -> Codec:
        """The handshake is done."""
        self._ticker.discard(self)
        codec = self._codec = self._make(layer.ssl.selected_alpn_protocol())
        return codec

    def failed(self, error: Exception) -> None:
        """There was no handshake."""
        _LOG.debug("a handshake in the private network failed: %s", error)

    def gone(self) -> None:
        """The connection is over. May be called twice."""
        self._ticker.discard(self)
        self._codec = None
        left, self._left = self._left, None
        if left is not None:
            left()


async def attach(connection: PrivateConnection, accepted: socket.socket) -> None:
    """Give an accepted socket to its protocol."""
    loop = asyncio.get_running_loop()
    try:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol: Any = connection
        await loop.connect_accepted_socket(lambda: protocol, accepted)
    except OSError as error:
        _LOG.debug("a connection ended before it began: %s", error)
        accepted.close()
        connection.gone()
