"""Starlette applications on sockets that are passed in, within a loop that has other work too."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import uvicorn

from octelium.http.tasks import spawn

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp

_LONGEST_REQUEST = 10
"""Seconds that a stop waits for requests under way, at most; the supervisor's grace is shorter."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process handles signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves one application until it is stopped."""

    def __init__(self, app: ASGIApp, sockets: Sequence[socket.socket], name: str) -> None:
        self._sockets = list(sockets)
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_graceful_shutdown=_LONGEST_REQUEST,
                h11_max_incomplete_event_size=64 << 10,
                http="h11",
                ws="none",
            )
        )

    def start(self) -> None:
        """Serve in the background."""
        self._task = spawn(self._server.serve(sockets=self._sockets), name=self._name)

    async def stop(self) -> None:
        """Take no new requests and wait for those under way."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
