"""TLS in front of a peer that speaks plain text."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.http import certs

if TYPE_CHECKING:
    from collections.abc import Iterator


def context(name: str) -> ssl.SSLContext:
    """A server's TLS settings with a certificate of `certs.ca()`, which is sent along."""
    pair = certs.server(name)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder) / "chain.pem", Path(folder) / "key.pem"
        chain.write_bytes(pair.chain + certs.ca().chain)
        key.write_bytes(pair.key)
        made.load_cert_chain(chain, key)
    return made


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, ssl.SSLError):
        writer.close()


@contextmanager
def tls_pipe(port: int, target: int) -> Iterator[None]:
    """Whatever comes to `localhost:port` with TLS goes to `127.0.0.1:target` without."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        writers.extend((writer, back))
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(serve, "127.0.0.1", port, ssl=context("localhost"))
    )
    thread = threading.Thread(target=loop.run_forever, name="tls pipe")
    thread.start()

    async def end() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()
        current = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not current))

    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
