from __future__ import annotations

import asyncio
import contextlib
import itertools

import dns.message
import dns.rcode
import pytest

from octelium.vigil.dns import stream as module
from octelium.vigil.dns.limits import MOST_STREAMS
from tests.vigil.dns.world import DnsWorld, upstream, world


def framed(name: str, kind: str = "A") -> bytes:
    query = dns.message.make_query(name, kind).to_wire()
    return len(query).to_bytes(2, "big") + query


async def read(reader: asyncio.StreamReader) -> dns.message.Message:
    async with asyncio.timeout(5):
        size = int.from_bytes(await reader.readexactly(2), "big")
        return dns.message.from_wire(await reader.readexactly(size))


async def connect(here: DnsWorld) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", here.port)


async def ended(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
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
    monkeypatch.setattr(module, "IDLE", 0.05)
    async with world() as here:
        reader, writer = await connect(here)
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


async def test_a_client_that_does_not_read_is_not_read() -> None:
    steps = itertools.count()
    async with world(clock=lambda: next(steps) / 100) as here:
        _, writer = await connect(here)
        question = framed("wiki.local", "TXT")
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 200_000:
                writer.write(question * 500)
                sent += 500
                async with asyncio.timeout(0.3):
                    await writer.drain()
        # Buffers of both kernels are full, ours holds little, and nothing more is taken.
        (stream,) = here.streams
        assert stream._transport.get_write_buffer_size() < 1 << 20
        assert len(stream._buffer) < 1 << 20
        assert sent < 200_000 or stream._full
        writer.transport.abort()
        await here.until(lambda: here.left == 1)


async def test_its_owner_can_end_it() -> None:
    async with world() as here:
        reader, writer = await connect(here)
        await here.until(lambda: here.vigil.running)
        here.streams[0].abort()
        here.streams[0].abort()
        assert await ended(reader)
        assert here.left == 1
        writer.close()
