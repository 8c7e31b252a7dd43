"""A front door of TLS, which answers every request alike."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from octelium.client.doctor import front_door, service
from octelium.client.settings import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.client.standin import Authority

DOMAIN = "lab.test"
ANSWER = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
_HURRIED = (
    front_door.addresses,
    front_door.reach,
    front_door.cluster_time,
    front_door.certificate,
    service.connect,
    service.request,
    service.talk,
)


def have_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the doctor wait as long as a busy machine may need."""
    for each in _HURRIED:
        defaults = each.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "seconds", 60.0)
    monkeypatch.setattr(service, "_HELLO", 60.0)


@contextlib.contextmanager
def server(context: ssl.SSLContext | None, answer: bytes = ANSWER) -> Iterator[int]:
    """Its port. Without a context it speaks no TLS; without an answer it closes connections."""

    def serve() -> None:
        while True:
            try:
                one, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(one,), daemon=True).start()

    def talk(one: socket.socket) -> None:
        with contextlib.suppress(OSError), one:
            stream = one if context is None else context.wrap_socket(one, server_side=True)
            with stream:
                if answer:
                    stream.recv(4096)
                    stream.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def context(folder: Path, authority: Authority, *names: str, days: int = 20) -> ssl.SSLContext:
    """A server's, with a certificate for names."""
    chain, key = authority.issue(*names, days=days)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return made


def target(port: int, authority: Authority, name: str = f"octelium-api.{DOMAIN}") -> Target:
    return Target(DOMAIN, "127.0.0.1", port, name, ca=authority.pem)
