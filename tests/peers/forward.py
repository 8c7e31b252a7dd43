"""Carries connections from one network namespace into another, as a node does for its Pods."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@contextmanager
def forward(
    listening: socket.socket, target: int, context: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Whatever comes to a socket, which may be of any namespace, goes to `127.0.0.1:target`; with
    a `context` it comes with TLS, and goes on without.
    """
    writers: list[asyncio.StreamWriter] = []
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        writers.append(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        writers.append(back)
        copying = [
            asyncio.ensure_future(each)  # noqa: TID251  (kept here)
            for each in (_copy(reader, back), _copy(there, writer))
        ]
        serving.update(copying)
        await asyncio.wait(copying)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, sock=listening, ssl=context))
    thread = threading.Thread(target=loop.run_forever, name="forward")
    thread.start()

    async def end() -> None:
        # It is closed when nobody is on the way in any more, whose transport would need it.
        loop.remove_reader(listening)
        serving.add(current := asyncio.current_task())
        before: set[asyncio.Task[None] | None] = set()
        while (left := asyncio.all_tasks()) != {current}:
            for writer in writers:
                writer.transport.abort()
            for task in left - serving:
                if task in before:  # a handshake that nobody goes on with
                    task.cancel()
            before = {*left}
            await asyncio.sleep(0.01)
        server.close()

    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
