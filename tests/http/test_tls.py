from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.http.tls import MAX_HANDSHAKE, TLSLayer, load_certificate
from tests.http import certs
from tests.http.h1.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from octelium.http.codec import Codec


class Echo:
    """A codec that remembers, and sends back what it gets."""

    def __init__(self, *, echo: bool = True) -> None:
        self.echo = echo
        self.transport: TLSLayer
        self.received = b""
        self.pieces = 0
        self.ended = False
        self.lost: list[Exception | None] = []
        self.paused = False

    def connection_made(self, transport: TLSLayer) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.pieces += 1
        if self.echo:
            self.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)

    def is_paused(self) -> bool:
        return self.paused

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    pair = certs.server("a.example")
    load_certificate(context, pair.chain, pair.key)
    return context


def client_context(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certs.ca().chain.decode())
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class End:
    """One end of a connection in memory."""

    def __init__(self, context: ssl.SSLContext, *, server: bool, name: str | None = None) -> None:
        self.wire = Wire()
        self.codec = Echo(echo=server)
        self.failures: list[Exception] = []
        self.layer = TLSLayer(
            context,
            self._established,
            self.failures.append,
            server_side=server,
            server_hostname=name,
        )

    def _established(self, layer: TLSLayer) -> Codec:
        return self.codec


class Link:
    """Two ends, and the bytes between them."""

    def __init__(self, name: str = "a.example", alpn: tuple[str, ...] = ("http/1.1",)) -> None:
        self.server = End(server_context(), server=True)
        self.client = End(client_context(*alpn), server=False, name=name)
        self.server.layer.connection_made(self.server.wire)
        self.client.layer.connection_made(self.client.wire)

    def pump(self, size: int = 1 << 20) -> None:
        """Carry bytes in pieces of `size` until nothing moves."""
        moved = True
        while moved:
            moved = False
            for one, other in ((self.client, self.server), (self.server, self.client)):
                data = one.wire.take()
                for start in range(0, len(data), size):
                    moved = True
                    other.layer.data_received(data[start : start + size])


async def connected(link: Link) -> None:
    """Where a loop runs, handshakes of servers wait for their turn."""
    while link.server.layer.codec is None:
        link.pump()
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_bytes_both_ways(size: int) -> None:
    link = Link()
    link.pump(size)
    assert link.server.layer.ssl.selected_alpn_protocol() == "http/1.1"
    link.client.layer.write(b"hello" * 10_000)
    link.pump(max(size, 500))
    assert link.client.codec.received == b"hello" * 10_000


def test_many_records_are_one_piece() -> None:
    link = Link()
    link.pump()
    link.client.layer.write(b"x" * 100_000)
    link.server.layer.data_received(link.client.wire.take())
    assert link.server.codec.pieces == 1


def test_an_untrusted_or_misnamed_certificate() -> None:
    link = Link("b.example")
    link.pump()
    assert len(link.client.failures) == 1
    assert isinstance(link.client.failures[0], ssl.SSLCertVerificationError)
    assert link.client.wire.closing
    assert len(link.server.failures) == 1


def test_what_is_not_tls() -> None:
    end = End(server_context(), server=True)
    end.layer.connection_made(end.wire)
    end.layer.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert len(end.failures) == 1
    assert end.wire.closing


def test_a_handshake_without_end() -> None:
    end = End(server_context(), server=True)
    end.layer.connection_made(end.wire)
    record = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + b"\x00" * (0x4000 - 4)
    for _ in range(MAX_HANDSHAKE // len(record) + 2):
        if not end.wire.closing:
            end.layer.data_received(record)
    assert end.wire.closing
    assert len(end.failures) == 1


def test_a_connection_that_ends_in_the_handshake() -> None:
    end = End(server_context(), server=True)
    end.layer.connection_made(end.wire)
    end.layer.connection_lost(None)
    assert isinstance(end.failures[0], ConnectionResetError)
    assert end.codec.lost == []


def test_an_end_that_was_said() -> None:
    link = Link()
    link.pump()
    link.client.layer.close()
    link.pump()
    assert link.server.codec.ended
    assert link.server.wire.closing
    link.server.layer.connection_lost(None)
    assert link.server.codec.lost == [None]


def test_an_end_that_was_cut_off() -> None:
    link = Link()
    link.pump()
    assert link.server.layer.eof_received() is False
    assert not link.server.codec.ended
    (error,) = link.server.codec.lost
    assert isinstance(error, ssl.SSLError)


def test_a_damaged_record() -> None:
    link = Link()
    link.pump()
    link.client.layer.write(b"hello")
    data = bytearray(link.client.wire.take())
    data[-1] ^= 1
    link.server.layer.data_received(bytes(data))
    assert link.server.codec.received == b""
    assert len(link.server.codec.lost) == 1
    assert link.server.wire.closing


async def test_handshakes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octelium.http.handshakes._SHARE", 0)
    links = [Link() for _ in range(3)]
    await asyncio.sleep(0)  # what clients write leaves
    for link in links:
        link.pump()
    turns = []
    for _ in range(4):
        turns.append([link.server.wire.reading for link in links])
        await asyncio.sleep(0)
    assert turns == [[number < turn for number in range(3)] for turn in range(4)]
    for link in links:
        await connected(link)


async def test_a_connection_that_ends_before_its_turn() -> None:
    link = Link()
    await asyncio.sleep(0)
    link.pump()
    assert not link.server.wire.reading
    link.server.layer.connection_lost(None)
    await asyncio.sleep(0.001)
    assert len(link.server.failures) == 1
    assert not link.server.wire.output


async def test_an_alert_that_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octelium.http.tls._ALERT_TIME", 0)
    link = Link()
    await connected(link)
    link.server.wire.pending = 1
    link.server.layer.data_received(b"\x17\x03\x03\x00\x01x")
    assert link.server.wire.closing
    assert not link.server.wire.was_aborted()
    await asyncio.sleep(0.001)
    assert link.server.wire.was_aborted()


def test_half_closing() -> None:
    link = Link()
    link.pump()
    link.server.layer.write_eof()
    assert link.server.wire.half_closed
    link.server.layer.write(b"nothing")
    link.client.layer.write(b"still read")
    link.pump()
    assert link.server.codec.received == b"still read"
    assert link.client.codec.received == b""


def test_pausing() -> None:
    link = Link()
    link.pump()
    link.server.layer.pause_reading()
    assert not link.server.wire.is_reading()
    link.client.layer.write(b"hello")
    link.server.layer.data_received(link.client.wire.take())
    assert link.server.codec.received == b""

    async def resume() -> None:
        link.server.layer.resume_reading()
        await asyncio.sleep(0)

    asyncio.run(resume())
    assert link.server.wire.is_reading()
    assert link.server.codec.received == b"hello"


def test_a_full_transport_is_passed_on() -> None:
    link = Link()
    link.pump()
    link.server.layer.pause_writing()
    assert link.server.codec.is_paused()
    link.server.layer.resume_writing()
    assert not link.server.codec.is_paused()


def test_keys_are_loaded_through_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = certs.server("a.example")
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    class Spy:
        def load_cert_chain(self, name: str, **arguments: object) -> None:
            names.append(str(Path(name).readlink()))
            context.load_cert_chain(name)

    load_certificate(Spy(), pair.chain, pair.key)  # type: ignore[arg-type]
    (name,) = names
    assert name.startswith("/memfd:")
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            assert str(each.readlink()) != name


def test_keys_that_do_not_fit() -> None:
    one, other = certs.server("a.example"), certs.server("b.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for chain, key in (
        (one.chain, other.key),
        (one.chain, one.encrypted_key()),
        (b"", b""),
        (one.chain, b"rubbish"),
    ):
        with pytest.raises(ssl.SSLError):
            load_certificate(context, chain, key)


@pytest.fixture
async def real_server() -> AsyncIterator[int]:
    """A server on a real socket that echoes."""
    context = server_context()

    def make() -> TLSLayer:
        return TLSLayer(context, lambda _layer: Echo(), lambda _error: None, server_side=True)

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_real_client(real_server: int, version: ssl.TLSVersion) -> None:
    context = client_context()
    context.minimum_version = context.maximum_version = version
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", real_server, ssl=context, server_hostname="a.example"
    )
    data = os.urandom(1 << 20)
    writer.write(data)
    assert await reader.readexactly(len(data)) == data
    writer.close()
    await writer.wait_closed()


def test_a_connection_that_is_over_keeps_no_keys_and_buffers() -> None:
    link = Link()
    link.pump()
    layer = link.server.layer
    gone = weakref.ref(layer.ssl)
    gc.disable()
    try:
        layer.connection_lost(None)
        assert gone() is None
    finally:
        gc.enable()
    layer.write(b"x")
    layer.close()
    layer.data_received(b"x")
    assert link.server.codec.lost == [None]
