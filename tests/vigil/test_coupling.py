"""Streams that are encrypted on a side: the same promises as `test_splicing`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.tls import TLSLayer, load_certificate
from octelium.vigil.coupling import Coupling
from octelium.vigil.stalls import StallLimits, Stalls
from tests.http import certs
from tests.vigil.test_splicing import pair, until

if TYPE_CHECKING:
    from octelium.vigil.coupling import End


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server and a client."""
    made = certs.server("localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(server, made.chain, made.key)
    return server, ssl.create_default_context(cadata=certs.ca().chain.decode())


class Coupled:
    """A client and an upstream in threads of their own, one of them behind TLS."""

    def __init__(self, stalls: Stalls | None = None) -> None:
        self.ends: list[Exception | None] = []
        self.coupling = Coupling(self.ends.append, stalls)
        self.coupling.owner = "ann"

    async def join(self) -> tuple[ssl.SSLSocket, socket.socket]:
        """A blocking TLS client, and a blocking plain upstream."""
        loop = asyncio.get_running_loop()
        server, client = contexts()
        theirs, ours = pair()
        theirs.setblocking(True)
        theirs.settimeout(60)
        ready = loop.create_future()

        def established(_layer: TLSLayer) -> End:
            ready.set_result(None)
            return self.coupling.client

        def failed(error: Exception) -> None:
            ready.set_exception(error)

        await loop.connect_accepted_socket(
            lambda: TLSLayer(server, established, failed, server_side=True), ours
        )
        secure = await asyncio.to_thread(
            client.wrap_socket, theirs, server_hostname="localhost", suppress_ragged_eofs=False
        )
        await ready
        upstream, near = pair()
        upstream.setblocking(True)
        upstream.settimeout(60)
        await loop.create_connection(lambda: self.coupling.upstream, sock=near)
        self.coupling.start()
        return secure, upstream


def receive(one: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := one.recv(1 << 20)):
        data += piece
    return data


async def in_thread(function: Any, *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


async def test_both_ways() -> None:
    made = Coupled()
    client, upstream = await made.join()
    data = bytes(range(256)) * 8000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert await in_thread(receive, upstream, len(data)) == data
    sender.join()
    sender = threading.Thread(target=upstream.sendall, args=(data,))
    sender.start()
    assert await in_thread(receive, client, len(data)) == data
    sender.join()
    assert (made.coupling.received, made.coupling.sent) == (len(data), len(data))
    made.coupling.abort()
    client.close()
    upstream.close()


@pytest.mark.parametrize("to", ["client", "upstream"])
async def test_what_stands_still_is_counted_and_ended_where_others_need_its_place(to: str) -> None:
    stalls = Stalls(StallLimits(10, 10, 1 << 40, 1 << 38))
    made = Coupled(stalls)
    client, upstream = await made.join()
    sender = upstream if to == "client" else client

    def send() -> None:
        with contextlib.suppress(OSError):
            sender.sendall(bytes(64 << 20))

    thread = threading.Thread(target=send)
    thread.start()
    await until(lambda: stalls.count == 1)

    def held() -> int:
        stalls.review()
        return stalls.bytes

    await until(lambda: held() > 64 << 10)
    assert made.ends == []
    stalls.limits = StallLimits(10, 10, 1000, 250)
    stalls.review()
    (error,) = made.ends
    assert "others needed its place" in str(error)
    assert (stalls.count, stalls.bytes) == (0, 0)
    await in_thread(thread.join)
    stalls.close()
    client.close()
    upstream.close()


async def test_the_upstream_ends_its_half_while_much_is_under_way_to_it() -> None:
    """Nothing of what the client sent may be lost by telling it so."""
    made = Coupled()
    client, upstream = await made.join()
    data = b"z" * (8 << 20)
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    await asyncio.sleep(0.05)  # the upstream takes nothing yet, so the client is held up
    upstream.shutdown(socket.SHUT_WR)
    await asyncio.sleep(0.05)
    assert await in_thread(receive, upstream, len(data)) == data
    sender.join()
    assert await in_thread(client.recv, 1) == b""
    assert not made.ends
    client_raw = await asyncio.to_thread(client.unwrap)
    await until(lambda: made.ends == [None])
    assert made.coupling.received == len(data)
    client_raw.close()
    upstream.close()


async def test_the_client_ends_its_half() -> None:
    made = Coupled()
    client, upstream = await made.join()
    await in_thread(client.sendall, b"question")

    def close_notify() -> None:
        # unwrap() says close_notify and waits for ours, which comes with the answer's end.
        with contextlib.suppress(ssl.SSLError, OSError):
            client.unwrap()

    thread = threading.Thread(target=close_notify)
    thread.start()
    assert await in_thread(receive, upstream, 100) == b"question"  # to its end
    upstream.shutdown(socket.SHUT_WR)
    await until(lambda: made.ends == [None])
    thread.join()
    client.close()
    upstream.close()


@pytest.mark.parametrize("cut", ["client", "upstream"])
async def test_a_side_that_is_lost(cut: str) -> None:
    made = Coupled()
    client, upstream = await made.join()
    broken = client if cut == "client" else upstream
    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    broken.close()
    await until(lambda: made.ends)
    assert made.ends[0] is not None
    other = upstream if cut == "client" else client
    with pytest.raises(OSError):
        await in_thread(other.recv, 1)
    other.close()


async def test_an_end_without_close_notify_is_no_end_of_the_stream() -> None:
    made = Coupled()
    client, upstream = await made.join()
    client.shutdown(socket.SHUT_WR)  # a cut connection looks like this
    await until(lambda: made.ends)
    assert isinstance(made.ends[0], ssl.SSLEOFError)
    client.close()
    upstream.close()


async def test_aborting() -> None:
    made = Coupled()
    client, upstream = await made.join()
    made.coupling.abort()
    with pytest.raises(OSError):
        await in_thread(client.recv, 1)
    assert not made.ends
    client.close()
    upstream.close()
