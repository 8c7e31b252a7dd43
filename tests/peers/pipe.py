"""TLS in front of a peer that speaks plain text."""

from __future__ import annotations

import socket
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.http import certs
from tests.peers.forward import forward

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


@contextmanager
def tls_pipe(port: int, target: int) -> Iterator[None]:
    """Whatever comes to `localhost:port` with TLS goes to `127.0.0.1:target` without."""
    with forward(socket.create_server(("127.0.0.1", port)), target, context("localhost")):
        yield
