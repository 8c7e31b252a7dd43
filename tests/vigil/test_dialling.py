from __future__ import annotations

import asyncio
import socket

import pytest

from octelium.vigil import dialling
from octelium.vigil.dialling import associate, dial, prepare
from tests.vigil.test_served import Mute


async def test_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = await dial("127.0.0.1", server.getsockname()[1], limit=60)
        assert made.getpeername() == server.getsockname()
        assert not made.getblocking()
        made.close()


async def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "_STEP", 0.1)
    mute = Mute("127.65.0.41")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        places = [("127.65.0.41", mute.port), closed.getsockname(), ("127.0.0.1", port)]

        async def found(*_: object, **__: object) -> list[object]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        made = await dial("somewhere", 1, limit=60)
        assert made.getpeername()[1] == port
        made.close()
        del places[2]
        with pytest.raises(ConnectionRefusedError):
            await dial("somewhere", 1, limit=60)
        places.clear()
        with pytest.raises(OSError, match="has no address"):
            await dial("somewhere", 1, limit=60)
        with pytest.raises(OSError, match="has no address"):
            await associate("somewhere", 1, limit=60)
    mute.close()


async def test_the_limit() -> None:
    mute = Mute("127.65.0.42")
    async with asyncio.timeout(60):  # connect(2) would give up after two minutes
        with pytest.raises(TimeoutError):
            await dial("127.65.0.42", mute.port, limit=0.1)
    mute.close()


async def test_names_that_do_not_exist() -> None:
    with pytest.raises(OSError):
        await dial("no.invalid", 1, limit=60)
    with pytest.raises(OSError):
        await associate("no.invalid", 1, limit=60)


async def test_datagrams() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        made = await associate("localhost", server.getsockname()[1], limit=60)
        if made.family == socket.AF_INET:
            made.send(b"x")
            assert server.recv(10) == b"x"
        made.close()


def test_a_socket_that_is_no_tcp_socket() -> None:
    with socket.socket(socket.AF_UNIX) as made, pytest.raises(OSError):
        prepare(made)
