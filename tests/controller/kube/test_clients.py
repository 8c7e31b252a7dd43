"""Clients are changed when a call was cancelled, and none leaves connections behind."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest

from octelium.controller.kube.account import Account
from octelium.controller.kube.clients import Clients
from octelium.controller.kube.errors import BusyError
from octelium.http.tasks import spawn
from tests.controller.kube.answering import end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIMIT = 120.0
STEPS = 50
"""Turns of the event loop after which a call is over in any case, or nearly so."""


class Keeping:
    """A server that keeps its connections open, and counts them."""

    def __init__(self) -> None:
        self.open = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def until_open(self, count: int) -> None:
        async with asyncio.timeout(LIMIT):
            while self.open != count:
                await asyncio.sleep(0.01)


@pytest.fixture
async def keeping() -> AsyncIterator[Keeping]:
    server = Keeping()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield server
    await end(listening)
    await server.until_open(0)


@pytest.fixture
async def clients(keeping: Keeping) -> AsyncIterator[Clients]:
    clients = Clients(Account(keeping.url), 60.0)
    yield clients
    await clients.close()


async def get(clients: Clients) -> None:
    async with clients.lend() as client:
        assert (await client.get("/")).json() == {}


def ended(client: httpx.AsyncClient) -> bool:
    return client.is_closed


async def cancel(clients: Clients) -> None:
    """Cancel a call in its midst."""
    async with clients.lend():
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)


async def test_calls_share_a_client_and_its_connection(clients: Clients, keeping: Keeping) -> None:
    async with clients.lend() as first:
        pass
    for _ in range(3):
        await get(clients)
    async with clients.lend() as last:
        assert last is first
    await keeping.until_open(1)


async def test_calls_that_are_cancelled_at_any_moment(clients: Clients, keeping: Keeping) -> None:
    for begun in (False, True):
        for steps in range(STEPS):
            if begun:
                await get(clients)
            call = spawn(get(clients), name="call")
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
    await get(clients)
    await keeping.until_open(1)


async def test_who_uses_a_former_client_goes_on(clients: Clients, keeping: Keeping) -> None:
    async with clients.lend() as former:
        with pytest.raises(asyncio.CancelledError):
            await spawn(cancel(clients), name="cancelled")
        async with clients.lend() as present:
            assert present is not former
        assert (await former.get("/")).json() == {}
        assert not ended(former)
    assert ended(former)
    assert not ended(present)
    await keeping.until_open(0)


async def test_closing_ends_those_in_use_too(clients: Clients) -> None:
    async with contextlib.AsyncExitStack() as stack:
        former = await stack.enter_async_context(clients.lend())
        with pytest.raises(asyncio.CancelledError):
            await spawn(cancel(clients), name="cancelled")
        present = await stack.enter_async_context(clients.lend())
        await clients.close()
        assert ended(former)
        assert ended(present)
    await get(clients)


async def test_a_call_without_an_answer(clients: Clients, tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    with pytest.raises(BusyError, match="certificates of the authority"):
        await get(Clients(Account("https://x", authority), 1.0))
    for error in (httpx.ReadError("cut off"), ConnectionResetError("cut off")):
        with pytest.raises(BusyError, match="cannot be reached: cut off"):
            async with clients.lend() as first:
                raise error
    with pytest.raises(BusyError, match="cannot be reached: ReadTimeout"):
        async with clients.lend() as second:
            raise httpx.ReadTimeout("")
    assert first is second
