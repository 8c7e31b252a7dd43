from __future__ import annotations

import asyncio
import socket

import pytest

from octelium.client.tunnel import relay


def _tcp() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    for each in (one, other):
        relay.prepare(each)
    return one, other


async def test_bytes_go_both_ways_and_each_half_ends_by_itself() -> None:
    loop = asyncio.get_running_loop()
    (client, near), (far, server) = _tcp(), _tcp()
    with client, near, far, server:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(relay.join(near, far))
            await loop.sock_sendall(client, b"question")
            client.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(server, 100) == b"question"
            assert await loop.sock_recv(server, 100) == b""
            await loop.sock_sendall(server, b"answer")
            assert await loop.sock_recv(client, 100) == b"answer"
            server.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(client, 100) == b""


async def test_what_breaks_is_told() -> None:
    (client, near), (far, server) = _tcp(), _tcp()
    with near, far, server:
        relay.reset(client)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(60):
                await relay.join(near, far)


async def test_a_reset_is_seen() -> None:
    one, other = _tcp()
    relay.reset(one)
    with other, pytest.raises(ConnectionResetError):
        await asyncio.get_running_loop().sock_recv(other, 1)
