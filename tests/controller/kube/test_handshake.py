"""A call that is given up during the handshake leaves no connection behind."""

from __future__ import annotations

import asyncio

import pytest

from octelium.controller.kube.account import Account
from octelium.controller.kube.api import Api
from octelium.controller.kube.kinds import SECRET
from octelium.http.tasks import spawn


async def test_the_socket_is_closed() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(1)
        begun.set()
        while await reader.read(4096):
            pass
        writer.close()
        ended.set()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = Api(Account(f"https://127.0.0.1:{port}"), "ns")
    call = spawn(api.get(SECRET, "a"), name="call")
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(60):
        await ended.wait()
    await api.close()
    server.close()
