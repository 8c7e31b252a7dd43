"""The upstream of uploads: reads bodies to their end, as fast as it can, and says how much came.

`python -m bench.sink PORT`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import uvloop

_BUFFER: Final = 1 << 20
_MAX_HEAD: Final = 64 << 10


class Sink(asyncio.BufferedProtocol):
    """One connection; requests with a Content-Length only."""

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER)
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._left = -1
        self._length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  # asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left < 0:
            self._read_head(bytes(memoryview(self._buffer)[:nbytes]))
        else:
            self._count(nbytes)

    def _read_head(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _MAX_HEAD:
                self._answer(b"431 Request Header Fields Too Large", b"")
            return
        rest = len(self._head) - end - 4
        length = None
        for line in self._head[:end].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self._head = b""
        if length is None:
            self._answer(b"411 Length Required", b"")
            return
        self._left = self._length = length
        self._count(rest)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left <= 0:
            self._left = -1
            self._answer(b"200 OK", b"%d" % self._length)

    def _answer(self, status: bytes, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        )


async def serve(port: int) -> None:
    """Serve on loopback for as long as the process lives."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
