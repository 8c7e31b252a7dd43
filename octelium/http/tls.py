"""TLS as a layer between a transport and a codec, on `ssl.MemoryBIO`.

It costs half of what the event loop's own TLS does, lets the caller look at the first bytes before
the handshake begins, and gives decrypted bytes straight to the codec. To the codec it is a
`ByteTransport`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Any, Final

from octelium.http.codec import CodecHost
from octelium.http.handshakes import handshakes
from octelium.http.turn import collected

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.codec import Codec

_GONE: Final[Any] = None
_RECORD: Final = 16 << 10
MAX_HANDSHAKE: Final = 64 << 10
"""Bytes that a peer may send before its handshake is complete."""
_ALERT_TIME: Final = 5.0
"""Seconds for a peer to take the alert that says why the connection ends."""


class TLSLayer(CodecHost):
    """One end of a TLS connection.

    `established(layer)` is called when the handshake is done and gives the codec; `failed(error)`
    is called instead if there will be none.
    """

    collects = True
    """What is below it collects writes; see `octelium.http.turn`."""

    def __init__(
        self,
        context: ssl.SSLContext,
        established: Callable[[TLSLayer], Codec],
        failed: Callable[[Exception], None],
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        self._established = established
        self._failed: Callable[[Exception], None] | None = failed
        self._transport: Any = None
        self._codec: Codec | None = None
        self._handshake_bytes = 0
        self._handshakes = handshakes() if server_side else None
        self._waiting = 0
        """Bytes of the handshake that wait for their turn."""
        self._reading = True
        self._ended = False
        self._shut = False

    @property
    def below(self) -> Any:
        """The transport that it is on, once there is one."""
        return self._transport

    @property
    def codec(self) -> Codec | None:
        """The codec, from the end of the handshake to the end of the connection."""
        return self._codec

    # The asyncio Protocol, towards the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = collected(transport)
        self._handshake()

    def data_received(self, data: bytes) -> None:
        """Take encrypted bytes."""
        if self._shut and self._codec is None:
            return
        self._incoming.write(data)
        if self._codec is not None:
            self._pump()
        elif self._handshakes is None:
            self._go_on(len(data))
        else:
            if not self._waiting:
                self._transport.pause_reading()
                self._handshakes.add(self._take_turn)
            self._waiting += len(data)

    def eof_received(self) -> bool:
        """The peer closed without saying so inside TLS: what came may be cut off."""
        if not self._ended:
            self._fail(ssl.SSLEOFError("connection ended without close_notify"))
            return False
        return not self._shut

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is gone."""
        if self._codec is None:
            self._fail(error or ConnectionResetError("connection ended during the handshake"))
        else:
            self._lose(error)
        self._shut = True
        # Codec and layer hold each other until a collection finds them, which may take long. This
        # is most of their memory, and collections do not know of it.
        self.ssl = self._incoming = self._outgoing = _GONE

    # The transport, towards the codec.

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self._shut or not data:
            return
        try:
            self.ssl.write(data)
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._transport.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        """TLS can always say that nothing more follows."""
        return True

    def write_eof(self) -> None:
        """Send close_notify and half-close."""
        if not self._shut:
            self._shut = True
            self._notify()
            if not self._transport.is_closing():
                self._transport.write_eof()

    def close(self) -> None:
        """Send close_notify and what is queued, then close."""
        if not self._shut:
            self._shut = True
            self._notify()
        self._transport.close()

    def abort(self) -> None:
        """Close at once, without close_notify."""
        self._shut = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._shut or bool(self._transport.is_closing())

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that are queued."""
        return int(self._transport.get_write_buffer_size())

    def pause_reading(self) -> None:
        """Give the codec no more bytes."""
        if self._reading:
            self._reading = False
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Give the codec bytes again, first those that are decrypted already."""
        if not self._reading:
            self._reading = True
            if not self._transport.is_closing():
                self._transport.resume_reading()
                asyncio.get_running_loop().call_soon(self._pump)

    # Inside.

    def _take_turn(self) -> None:
        """Go on with a handshake that has waited."""
        size, self._waiting = self._waiting, 0
        if not self.is_closing():
            self._transport.resume_reading()
            self._go_on(size)

    def _go_on(self, size: int) -> None:
        """Go on with a handshake for which `size` bytes have come."""
        self._handshake()
        if self._codec is not None:
            self._pump()
            return
        # Counted afterwards: a client may send its first request right behind.
        self._handshake_bytes += size
        if self._handshake_bytes > MAX_HANDSHAKE:
            self._fail(ssl.SSLError("handshake is too long"))

    def _handshake(self) -> None:
        try:
            self.ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # the alert tells the peer why
            self._fail(error)
            return
        self._flush()
        try:
            self._codec = self._established(self)
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._failed = None
        self._codec.connection_made(self)

    def _pump(self) -> None:
        """Decrypt what is there and give it to the codec in one piece."""
        if not self._reading or self._ended or self._codec is None:
            return
        read, incoming = self.ssl.read, self._incoming
        pieces: list[bytes] = []
        error: ssl.SSLError | None = None
        try:
            while data := read(_RECORD):
                pieces.append(data)
                # A read of a record's greatest size leaves nothing of it behind, so what is left
                # is in `incoming`; asking spares the exception that says "no more".
                if not incoming.pending:
                    break
            else:
                self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as failure:
            error = failure
        if self._outgoing.pending:
            self._flush()
        if pieces:
            self._codec.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if error is not None:
            self._fail(error)
        elif self._ended and not self._codec.eof_received():
            self.close()

    def _flush(self) -> None:
        if (data := self._outgoing.read()) and not self._transport.is_closing():
            self._transport.write(data)

    def _notify(self) -> None:
        # unwrap() queues close_notify and then asks for the peer's, which is not waited for.
        with contextlib.suppress(ssl.SSLError):
            self.ssl.unwrap()
        self._flush()

    def _fail(self, error: Exception) -> None:
        self._shut = True
        if self._transport is not None:
            # close() rather than abort(): the alert is still queued. Not for long, though: the
            # peer may take nothing, and nobody else watches what has failed.
            self._transport.close()
            if self._transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(_ALERT_TIME, self._transport.abort)
        failed, self._failed = self._failed, None
        if failed is not None:
            failed(error)
        else:
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        codec, self._codec = self._codec, None
        self._ended = True
        if codec is not None:
            codec.connection_lost(error)


def load_certificate(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Give `context` a certificate chain and its private key, both PEM, without touching a disk.

    `SSLContext.load_cert_chain` takes names of files only, so the key passes through an anonymous
    file in memory that exists for the length of the call.

    Raises:
        ssl.SSLError: the PEM is damaged, the key is encrypted, or the two do not belong together.
    """
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(chain.rstrip() + b"\n" + key.rstrip() + b"\n")
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    finally:
        os.close(descriptor)


def _no_password() -> str:
    """An encrypted key is refused; without this OpenSSL would ask on the terminal."""
    return ""
