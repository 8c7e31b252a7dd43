"""A real HTTP/1.1 server for tests, on a socket."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


class Origins:
    """A real server that answers each request with the next of `answers`, or with OK."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self.servers: list[asyncio.Server] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                if length := _length(head):
                    self.requests[-1] += await reader.readexactly(length)
                answer = self.answers.pop(0) if self.answers else OK
                if not answer:
                    writer.close()
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def close(self) -> None:
        for server in self.servers:
            server.close()
        for writer in self.writers:
            writer.transport.abort()  # an end of TLS would wait for the other side's
        await asyncio.sleep(0)

    async def start(self, *, tls: ssl.SSLContext | None = None) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        self.servers.append(server)

    async def start_unix(self, path: Path) -> None:
        self.servers.append(await asyncio.start_unix_server(self.serve, path))
