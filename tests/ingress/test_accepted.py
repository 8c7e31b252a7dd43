from __future__ import annotations

import asyncio
import ssl

import pytest

from octelium.http.tls import TLSLayer, load_certificate
from octelium.ingress.accepted import Accepted
from tests.http import certs
from tests.http.test_codec import Told


class Door(Accepted):
    """Speaks TLS from the start, if it is given a context."""

    def __init__(self, context: ssl.SSLContext | None, codec: Told) -> None:
        self.context = context
        self.chosen = codec
        self.ends = 0
        self.failures: list[Exception] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.context is None:
            self._codec = self.chosen
        else:
            self._secure(transport, self.context)

    def established(self, layer: TLSLayer) -> Told:
        return self.chosen

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def gone(self) -> None:
        self.ends += 1
        self._codec = None


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = certs.server("a.example")
    load_certificate(context, pair.chain, pair.key)
    return context


async def test_a_connection_gives_its_place_back_before_its_codec_hears_of_the_end() -> None:
    door = Door(None, Told())
    door.connection_made(asyncio.Transport())
    door.pause_writing()
    door.connection_lost(None)
    assert (door.ends, door.chosen.told) == (1, ["pause", "lost"])
    door.connection_lost(None)
    assert door.chosen.told == ["pause", "lost"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_from_the_start(trusted: bool) -> None:
    door = Door(server_context(), Told())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: door, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cadata = certs.ca().chain.decode() if trusted else None
    client = ssl.create_default_context(cadata=cadata)
    opened = asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="a.example")
    if trusted:
        _, writer = await opened
        writer.write(b"hello")
        await writer.drain()
        while "data" not in door.chosen.told:
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            await opened
    while not door.ends:
        await asyncio.sleep(0)
    if trusted:
        assert door.chosen.told[:2] == ["made", "data"]
        assert door.chosen.told[-1] == "lost"
        assert door.failures == []
    else:
        assert door.chosen.told == []
        assert len(door.failures) == 1
    server.close()
