from __future__ import annotations

import asyncio
import contextlib

import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.http.exchange import Peer
from octelium.vigil.dns import stream as module
from octelium.vigil.dns.limits import MOST_STREAMS
from tests.vigil.dns.world import DnsWorld, upstream, world


def framed(name: str, kind: str = "A") -> bytes:
    query = dns.message.make_query(name, kind).to_wire()
    return len(query).to_bytes(2, "big") + query


async def read(reader: asyncio.StreamReader) -> dns.message.Message:
    async with asyncio.timeout(60):
        size = int.from_bytes(await reader.readexactly(2), "big")
        return dns.message.from_wire(await reader.readexactly(size))


async def connect(here: DnsWorld) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", here.port)


async def ended(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(60):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_questions_one_behind_the_other() -> None:
    async with world() as here:
        reader, writer = await connect(here)
        writer.write(b"".join(framed("wiki.local") for _ in range(300)))
        for _ in range(300):
            assert (await read(reader)).answer
        writer.close()
        await here.until(lambda: here.left == 1)


async def test_questions_byte_by_byte() -> None:
    async with world() as here:
        reader, writer = await connect(here)
        for byte in framed("wiki.local") + framed("api.prod-eu.local")[:1]:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read(reader)).answer
        writer.close()


async def test_answers_at_hand_overtake_those_from_elsewhere() -> None:
    async with upstream() as fallback, world() as here:
        gate = asyncio.Event()
        fallback.put("www.example.com", "A", "192.0.2.1")
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        held = here.dns.resolver._try_servers

        async def late(*arguments: object) -> object:
            await gate.wait()
            return await held(*arguments)  # type: ignore[arg-type]

        here.dns.resolver._try_servers = late  # type: ignore[assignment,method-assign]
        reader, writer = await connect(here)
        writer.write(framed("www.example.com") + framed("wiki.local"))
        assert (await read(reader)).question[0].name.to_text() == "wiki.local."
        # A client that has ended its half still gets what it asked for.
        writer.write_eof()
        gate.set()
        assert (await read(reader)).question[0].name.to_text() == "www.example.com."
        assert await ended(reader)
        writer.close()


async def test_more_questions_than_can_wait_are_answered_in_the_end() -> None:
    async with upstream() as fallback, world() as here:
        count = module._MOST_WAITING * 2 + 5
        for number in range(count):
            fallback.put(f"{number}.example", "A", "192.0.2.1")
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        reader, writer = await connect(here)
        writer.write(b"".join(framed(f"{number}.example") for number in range(count)))
        got = {(await read(reader)).question[0].name.to_text() for _ in range(count)}
        assert len(got) == count
        writer.close()


async def test_an_idle_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as here:
        reader, writer = await connect(here)
        await here.until(lambda: here.vigil.running)
        monkeypatch.setattr(module, "IDLE", 0.05)
        writer.write(framed("wiki.local"))
        assert (await read(reader)).answer
        writer.write(b"\0")  # half a length is no question
        assert await ended(reader)
        assert here.left == 1
        writer.close()


@pytest.mark.parametrize("data", [b"\0\0", b"\0\1x", b"\0\x0c" + b"\x00\x01\x81\x80" + b"\0" * 8])
async def test_what_is_no_question_ends_the_connection(data: bytes) -> None:
    async with world() as here:
        reader, writer = await connect(here)
        writer.write(data)
        assert await ended(reader)
        writer.close()


async def test_a_malformed_question_does_not() -> None:
    async with world() as here:
        reader, writer = await connect(here)
        bad = b"\0\1\1\0\0\1\0\0\0\0\0\0\x05ab"
        writer.write(len(bad).to_bytes(2, "big") + bad + framed("wiki.local"))
        assert (await read(reader)).rcode() == dns.rcode.FORMERR
        assert (await read(reader)).answer
        writer.close()


async def test_a_session_has_only_so_many_connections() -> None:
    async with world() as here:
        pairs = [await connect(here) for _ in range(MOST_STREAMS)]
        await here.until(lambda: len(here.vigil.running) == MOST_STREAMS)
        reader, writer = await connect(here)
        assert await ended(reader)
        writer.close()
        pairs[0][1].close()
        await here.until(lambda: here.left == 2)
        reader, writer = await connect(here)
        writer.write(framed("wiki.local"))
        assert (await read(reader)).answer
        for _, one in (*pairs, (reader, writer)):
            one.close()
        await here.until(lambda: not here.vigil.running)
        assert here.left == MOST_STREAMS + 2


class Transport:
    """What a stream is told to write, and whether it reads."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def reads(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.written.append(b"")

    abort = close


async def test_a_client_that_does_not_read_is_not_read() -> None:
    async with world() as here:
        peer = Peer(here.arrival, number=1, secure=True)
        entry = here.replica.service_by_name["dns.octelium"]
        stream, codec = here.dns.secured(entry, peer, "100.64.0.16:53", here._gone)
        transport = Transport()
        codec.connection_made(transport)
        codec.data_received(framed("wiki.local"))
        codec.pause_writing()
        assert not transport.reads()
        codec.data_received(framed("wiki.local") * 2)
        assert len(transport.written) == 1
        codec.resume_writing()
        assert transport.reads()
        assert len(transport.written) == 3
        assert codec.eof_received() is False
        stream.abort()
        codec.connection_lost(None)
        assert here.left == 1


async def test_a_client_that_ends_its_half_gets_what_it_asked_for() -> None:
    async with world() as here:
        peer = Peer(here.arrival, number=1, secure=True)
        entry = here.replica.service_by_name["dns.octelium"]
        _, codec = here.dns.secured(entry, peer, "100.64.0.16:53", here._gone)
        transport = Transport()
        codec.connection_made(transport)
        codec.pause_writing()
        codec.data_received(framed("wiki.local"))
        assert codec.eof_received() is True
        codec.resume_writing()
        assert [len(data) > 12 for data in transport.written] == [True, False]
        codec.connection_lost(None)


async def test_its_owner_can_end_it() -> None:
    async with world() as here:
        reader, writer = await connect(here)
        await here.until(lambda: here.vigil.running)
        here.streams[0].abort()
        here.streams[0].abort()
        assert await ended(reader)
        assert here.left == 1
        writer.close()


PIECES = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=40).map(lambda data: len(data).to_bytes(2, "big") + data),
    st.sampled_from([framed("wiki.local"), framed("wiki.local")[:9], framed("nothing.local")]),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=6), min_size=1, max_size=8))
async def test_any_bytes_harm_nobody_else(conversations: list[list[bytes]]) -> None:
    async with world() as here:
        for pieces in conversations:
            reader, writer = await connect(here)
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(60):
                    await reader.read()  # whatever it is, it ends
            writer.close()
        reader, writer = await connect(here)
        writer.write(framed("wiki.local"))
        assert (await read(reader)).answer
        writer.close()
        await here.until(lambda: here.left == len(conversations) + 1)
        assert not here.vigil.running
