from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel import asked, serving
from octelium.client.tunnel.asked import published_problem, served_problem
from octelium.client.tunnel.destinations import Destination, Dialler
from octelium.client.tunnel.device import Tunnel
from octelium.client.tunnel.serving import Hosted
from octelium.client.tunnel.state import connected
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.tunnel.pieces import Engines, FakeSide, state
from tests.client.tunnel.test_destinations import services
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from octelium.client.tunnel.side import Kind

OWN = b"\r\nX-Octelium-Request-Id: abc-1\r\nContent-Length: 0\r\n\r\n"
PLAIN = b"\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def dialler() -> AsyncIterator[Dialler]:
    tunnel = Tunnel(FakeSide(), keepalive=30, make_engine=Engines())
    await tunnel.put(connected(state(dns=user.Dns())))
    yield Dialler(tunnel, services()[0])
    await tunnel.close()


@contextlib.contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """A port whose server says `answer`, to whoever has said something, and ends connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as one:
                if answer is not None:
                    one.recv(4096)
                    one.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 200 OK" + PLAIN, ""),
        (b"HTTP/1.1 404 No" + OWN, ""),
        (b"HTTP/1.1 403 Forbidden" + PLAIN, ""),  # the upstream's own
        (b"HTTP/1.1 403 Forbidden" + OWN, "its Policies refuse you (403)"),
        (b"HTTP/1.1 401 No" + OWN, "its Policies refuse you (401)"),
        (b"HTTP/1.1 502 No" + OWN, "its upstream does not answer (502)"),
        (b"nonsense", "it ends connections without an answer"),
        (b"", "it ends connections without an answer"),
    ],
)
async def test_pages_are_asked_for(dialler: Dialler, answer: bytes, problem: str) -> None:
    with answering(answer) as port:
        to = Destination("wiki.default", ("127.0.0.1",), port, is_udp=False, is_http=True)
        assert await published_problem(dialler, to, "wiki.local.lab.test") == problem


async def test_of_others_the_connection_stays_or_not(
    dialler: Dialler, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(None) as port:
        to = Destination("db.default", ("127.0.0.1",), port, is_udp=False)
        assert "ends connections at once" in await published_problem(dialler, to, "db")
    monkeypatch.setattr(asked, "_HELLO", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        to = Destination("db.default", ("127.0.0.1",), port, is_udp=False)
        assert await published_problem(dialler, to, "db") == ""
        monkeypatch.setattr(asked, "_WAIT", 0.05)
        page = Destination("db.default", ("127.0.0.1",), port, is_udp=False, is_http=True)
        assert await published_problem(dialler, page, "db") == "it does not answer within 0.05 s"


async def test_nobody_there(dialler: Dialler) -> None:
    to = Destination("db.default", ("127.0.0.1",), reserved_port(), is_udp=False)
    assert await published_problem(dialler, to, "db") == "it does not answer: Connection refused"
    datagrams = Destination("dns.default", ("127.0.0.1",), reserved_port(), is_udp=True)
    assert await published_problem(dialler, datagrams, "dns") == ""


async def test_where_a_served_service_leads() -> None:
    def hosted(port: int, *, is_udp: bool = False) -> Hosted:
        kind: Kind = "udp" if is_udp else "tcp"
        return Hosted("photos.default", kind, 1, ("100.65.0.7",), "127.0.0.1", port)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert await served_problem(hosted(listening.getsockname()[1])) == ""
    told = await served_problem(hosted(reserved_port()))
    assert told == "nothing answers there now: Connection refused"
    assert await served_problem(hosted(reserved_port(), is_udp=True)) == ""


async def test_an_upstream_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(_each: Hosted) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(serving, "connect", forever)
    monkeypatch.setattr(asked, "_UPSTREAM", 0.05)
    silent = Hosted("photos.default", "tcp", 1, (), "127.0.0.1", 9)
    assert await served_problem(silent) == "nothing answers there within 0.05 s"
