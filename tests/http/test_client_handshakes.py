"""A call that is given up during the handshake leaves no connection behind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from octelium.http.client_handshakes import watch_handshake
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Silent:
    """A server that takes connections and never answers."""

    def __init__(self) -> None:
        self.url = ""
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(1)
        self.begun.set()
        while await reader.read(4096):
            pass
        writer.close()
        self.ended.set()


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    made = Silent()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@asynccontextmanager
async def client(seconds: float) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"request": [watch_handshake]}
    made = httpx.AsyncClient(trust_env=False, timeout=seconds, event_hooks=hooks)
    async with made:
        yield made


async def test_a_call_that_is_cancelled(silent: Silent) -> None:
    async with client(60) as caller:
        call = spawn(caller.get(silent.url), name="call")
        await silent.begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(60):
            await silent.ended.wait()


async def test_a_call_whose_time_is_over(silent: Silent) -> None:
    async with client(0.2) as caller:
        while not silent.begun.is_set():  # a busy machine may not connect within the time
            with pytest.raises(httpx.ConnectTimeout):
                await caller.get(silent.url)
        async with asyncio.timeout(60):
            await silent.ended.wait()
