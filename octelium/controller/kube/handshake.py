"""Connections that leave no socket behind when a call is given up during the TLS handshake.

The library closes the socket of a handshake that fails, but not of one that is cancelled, as at a
time limit or when the controller ends. It would stay open until the garbage collector finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from httpx2 import AsyncClient


class ClosingStream(AsyncNetworkStream):
    """A connection that is closed whatever ends its handshake."""

    def __init__(self, stream: AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # the library's signature
        """As the library does."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the library's signature
        """As the library does."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """As the library does."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
    ) -> AsyncNetworkStream:
        """As the library does, and close the connection if it does not come about."""
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """As the library does."""
        return self._stream.get_extra_info(info)


class ClosingBackend(AsyncNetworkBackend):
    """The library's way to connect, with such connections."""

    def __init__(self, backend: AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """As the library does."""
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return ClosingStream(stream)

    async def sleep(self, seconds: float) -> None:
        """As the library does."""
        await self._backend.sleep(seconds)


def close_handshakes(client: AsyncClient) -> None:
    """Have a client make such connections. It has no setting for that.

    Raises AttributeError where the library is another one than is known here.
    """
    # There is no other way to it; the test fails where it is no longer one.
    transport = getattr(client, "_transport")  # noqa: B009
    pool = getattr(transport, "_pool")  # noqa: B009
    backend = ClosingBackend(getattr(pool, "_network_backend"))  # noqa: B009
    setattr(pool, "_network_backend", backend)  # noqa: B010
