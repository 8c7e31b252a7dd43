"""A connection's first bytes: PROXY header, TLS, or a browser that forgot the s in https."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from octelium.ingress.accepted import Accepted
from octelium.ingress.admission import plain_address
from octelium.ingress.proxy_header import BadProxyHeaderError, parse_proxy_header
from octelium.replica.arrival import FrontDoor

if TYPE_CHECKING:
    import asyncio

    from octelium.http.codec import Codec
    from octelium.http.tls import TLSLayer
    from octelium.ingress.admission import Ticket
    from octelium.ingress.server import IngressServer

_LOG = logging.getLogger(__name__)

_HANDSHAKE: Final = 0x16
"""First byte of a TLS handshake record (RFC 8446, section 5.1)."""


class FrontConnection(Accepted):
    """Takes a connection from accept to the codec that speaks with the client."""

    def __init__(self, server: IngressServer, ticket: Ticket | None) -> None:
        self._server = server
        self._ticket = ticket
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._address = ""
        self._port = 0
        self._expects_proxy = False
        self._buffer = b""
        self._deadline = 0.0
        self._layered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer, or close."""
        # Not asserted: uvloop's transports are no subclasses of asyncio's.
        self._transport = transport  # type: ignore[assignment]
        server = self._server
        name = transport.get_extra_info("peername")
        if self._ticket is None or not isinstance(name, tuple):
            server.counters.over_limit += 1
            self._transport.abort()
            return
        self._address, self._port = plain_address(name[0]), name[1]
        self._expects_proxy = server.is_proxy(self._address)
        if not self._expects_proxy and not self._admit():
            return
        self._deadline = server.ticker.now + server.settings.handshake_timeout
        server.ticker.add(self)

    def data_received(self, data: bytes) -> None:
        """Look at the first bytes; afterwards only plain-text codecs get theirs from here."""
        if self._codec is not None:
            self._codec.data_received(data)
            return
        if self._expects_proxy:
            data = self._buffer + data
            try:
                header = parse_proxy_header(data)
            except BadProxyHeaderError:
                self._reject()
                return
            if header is None:
                self._buffer = data
                return
            self._expects_proxy = False
            self._buffer = b""
            if header.client is not None:
                self._address, self._port = plain_address(header.client[0]), header.client[1]
            if not self._admit():
                return
            data = header.rest
        if data:
            self._begin(data)

    def tick(self, now: float) -> None:
        """Enforce the time-out of the handshake."""
        if now >= self._deadline:
            self._server.ticker.discard(self)
            if not self._layered:  # else the layer reports it
                self._server.counters.handshake_failures += 1
            self._transport.abort()

    def _admit(self) -> bool:
        assert self._ticket is not None
        if self._ticket.name(self._address):
            return True
        self._server.counters.over_limit += 1
        self._transport.abort()
        return False

    def _reject(self) -> None:
        self._server.counters.bad_first_bytes += 1
        self._transport.abort()

    def _begin(self, data: bytes) -> None:
        server = self._server
        if server.settings.plaintext:
            self._plain(server.codec(self._peer(secure=False), alpn=None), data)
        elif data[0] == _HANDSHAKE:
            self._layered = True
            self._secure(self._transport, server.certificates.context).data_received(data)
        elif data[:1].isalpha():
            self._plain(server.redirecting_codec(self._peer(secure=False)), data)
        else:
            self._reject()

    def _plain(self, codec: Codec, data: bytes) -> None:
        self._server.ticker.discard(self)
        self._server.enter(codec)
        self._codec = codec
        codec.connection_made(self._transport)
        codec.data_received(data)

    def _peer(self, *, secure: bool, certificate: object = None, server_name: bytes = b"") -> Any:
        assert self._ticket is not None
        return self._server.peer(
            FrontDoor(self._address, self._port),
            secure=secure,
            certificate=certificate,
            server_name=server_name,
            admitted=self._ticket.authenticated,
        )

    def established(self, layer: TLSLayer) -> Codec:
        """The handshake is done: make the codec that was agreed on.

        Raises:
            ssl.SSLError: the certificate was replaced in the middle of the handshake.
        """
        server = self._server
        server.ticker.discard(self)
        certificate = server.certificates.of(layer.ssl.context)
        if certificate is None:
            raise ssl.SSLError("the certificate was replaced")
        server.counters.handshakes += 1
        name = server.certificates.name_of(layer.ssl)
        peer = self._peer(secure=True, certificate=certificate, server_name=name)
        codec = server.codec(peer, alpn=layer.ssl.selected_alpn_protocol())
        server.enter(codec)
        self._codec = codec
        return codec

    def gone(self) -> None:
        """The connection ended: give its place back. May be called twice."""
        self._server.ticker.discard(self)
        if self._ticket is not None:
            self._ticket.leave()
        if self._codec is not None:
            self._server.leave(self._codec)
            self._codec = None

    def failed(self, error: Exception) -> None:
        """There was no handshake."""
        self._server.counters.handshake_failures += 1
        _LOG.debug("handshake with %s failed: %s", self._address, error)
