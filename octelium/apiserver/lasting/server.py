"""Serves the calls that last, on a Unix socket that only the Cluster's own proxy opens.

As with `octelium.apiserver.server` the proxy authenticates and decides every call first, so the
`x-octelium-*` metadata is trusted.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Final

import grpc

from octelium.apiserver.lasting.call import CONTENT_TYPE, LastingCall
from octelium.http.budget import Budget
from octelium.http.exchange import Peer
from octelium.http.grpc_messages import is_media_type, status_fields
from octelium.http.h2.protocol import H2Server
from octelium.http.h2.settings import Limits
from octelium.http.message import FieldBlock
from octelium.http.ticker import Ticker
from octelium.replica.arrival import FrontDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from octelium.apiserver.lasting.call import Method
    from octelium.http.exchange import ByteTransport
    from octelium.http.h2.server import ServerStream

WINDOW_TIMEOUT: Final = 15.0
"""Seconds for a client to take what waits for it, give or take a look in ten seconds."""
MOST_KEPT: Final = 32 << 20
"""Bytes of messages that are not complete, or belong to calls that have not begun."""
MOST_KEPT_EACH: Final = 512 << 10
"""Of these, those of one Session."""
_UNLIMITED: Final = 1 << 30
LIMITS: Final = Limits(
    max_streams=1024,
    # Messages are small, and what a call that begins does not take yet waits here.
    stream_window=64 << 10,
    window_timeout=WINDOW_TIMEOUT,
    # The only client is the proxy, which passes on what its clients do: one of them must not end
    # the connection for others.
    reset_burst=_UNLIMITED,
    control_burst=_UNLIMITED,
    limited_bodies=_UNLIMITED,
)
_PEER: Final = Peer(FrontDoor("", 0), number=0, secure=False)
_NOTHING: Final = FieldBlock(())
_BACKLOG: Final = 1024


class LastingServer:
    """Serves methods that last; at most `most` calls at a time."""

    def __init__(self, methods: Iterable[Method], most: int) -> None:
        self._methods = {method.path.encode(): method for method in methods}
        self._free = most
        self._budget = Budget(MOST_KEPT, MOST_KEPT_EACH)
        self._ticker = Ticker()
        self._connections: set[H2Server] = set()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._idle = asyncio.Event()

    @property
    def kept(self) -> int:
        """Bytes that are kept of what calls have not taken; see `MOST_KEPT`."""
        return self._budget.taken

    def listen(self, path: Path) -> None:
        """Make the Unix socket `path`, which only this system user can open.

        Raises:
            OSError: the socket cannot be made.
        """
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            made.bind(str(path))
        except OSError:
            made.close()
            raise
        finally:
            os.umask(mask)
        self._socket = made

    async def start(self) -> None:
        """Serve, after `listen`."""
        self._ticker.start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            self._accept, sock=self._socket, backlog=_BACKLOG
        )

    async def stop(self, grace: float) -> None:
        """Take no new calls, give those that run `grace` seconds, then end them."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            self._idle.clear()
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                for connection in tuple(self._connections):
                    connection.abort()
        self._ticker.stop()

    def _accept(self) -> H2Server:
        return _Connection(self._take, self._ticker, self._connections, self._idle)

    def _take(self, stream: ServerStream) -> None:
        head = stream.head
        if head.method != b"POST":
            _refuse(stream, 405)
        elif not is_media_type(head.block.first(b"content-type")):
            _refuse(stream, 415)
        elif (method := self._methods.get(head.target)) is None:
            text = f"{head.target[1:].decode()} is not implemented"
            _fail(stream, grpc.StatusCode.UNIMPLEMENTED, text)
        elif (head.block.first(b"grpc-encoding") or b"identity") != b"identity":
            text = "compressed messages are not taken"
            _fail(stream, grpc.StatusCode.UNIMPLEMENTED, text)
        elif not self._free:
            text = "too many calls: try again later"
            _fail(stream, grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        else:
            self._free -= 1
            call = stream.receiver = LastingCall(stream, method, self._leave, self._budget)
            call.start()

    def _leave(self) -> None:
        self._free += 1


class _Connection(H2Server):
    """One connection of the proxy."""

    def __init__(
        self,
        handler: Callable[[ServerStream], None],
        ticker: Ticker,
        connections: set[H2Server],
        idle: asyncio.Event,
    ) -> None:
        super().__init__(_PEER, handler, ticker=ticker, refusals=_NOTHING, limits=LIMITS)  # type: ignore[arg-type]  # HTTP/2 gives its own streams
        self._all = connections
        self._none_left = idle

    def connection_made(self, transport: ByteTransport | asyncio.BaseTransport) -> None:
        """Begin."""
        self._all.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone, and all its calls."""
        super().connection_lost(error)
        self._all.discard(self)
        if not self._all:
            self._none_left.set()


def _refuse(stream: ServerStream, status: int) -> None:
    stream.send_head(status, _NOTHING, end=True)


def _fail(stream: ServerStream, code: grpc.StatusCode, text: str) -> None:
    fields = (CONTENT_TYPE, *status_fields(code.value[0], text))
    stream.send_head(200, FieldBlock(fields), end=True)
