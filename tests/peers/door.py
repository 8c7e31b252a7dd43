"""The API of a Cluster in a namespace, for a test that is outside: `door.py PATH PORT`.

A Unix socket (unix(7)) is reached from every network namespace; what comes there goes to
`127.0.0.1:PORT` within.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc

from tests.e2e.cluster import DOMAIN, Api, Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.namespaces import Namespace


@contextmanager
def api(where: Namespace, cluster: Cluster, folder: Path) -> Iterator[Api]:
    """The API as the first administrator."""
    path = folder / "door.sock"
    words = (sys.executable, "-m", "tests.peers.door", str(path), str(cluster.port))
    with where.process(*words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with grpc.secure_channel(
            f"unix:{path}",
            grpc.ssl_channel_credentials((cluster.data / "ca.pem").read_bytes()),
            options=[
                ("grpc.ssl_target_name_override", f"octelium-api.{DOMAIN}"),
                ("grpc.default_authority", f"octelium-api.{DOMAIN}"),
            ],
        ) as channel:
            made = Api(channel)
            made.authenticate(cluster.token)
            yield made


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def _serve(path: str, port: int) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_unix_server(one, path)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
