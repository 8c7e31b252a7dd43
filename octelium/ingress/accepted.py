"""A connection from its acceptance to the codec that speaks with the client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from octelium.http.codec import CodecHost
from octelium.http.tls import TLSLayer

if TYPE_CHECKING:
    import asyncio
    import ssl

    from octelium.http.codec import Codec


class Accepted(CodecHost, ABC):
    """Chooses the codec from what comes first, in the clear or within TLS."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection ended."""
        codec = self._codec
        self.gone()
        if codec is not None:
            codec.connection_lost(error)

    def _secure(self, transport: asyncio.BaseTransport, context: ssl.SSLContext) -> AcceptedLayer:
        """Have TLS spoken from here on."""
        layer = AcceptedLayer(self, context)
        transport.set_protocol(layer)
        layer.connection_made(transport)
        return layer

    @abstractmethod
    def established(self, layer: TLSLayer) -> Codec:
        """The handshake is done: make the codec that was agreed on.

        Raises:
            ssl.SSLError: there must be none.
        """

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """There was no handshake."""

    @abstractmethod
    def gone(self) -> None:
        """The connection is over: give its place back. May be called twice."""


class AcceptedLayer(TLSLayer):
    """The TLS layer of such a connection."""

    def __init__(self, accepted: Accepted, context: ssl.SSLContext) -> None:
        super().__init__(context, accepted.established, accepted.failed, server_side=True)
        self._accepted = accepted

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over."""
        self._accepted.gone()
        super().connection_lost(error)
