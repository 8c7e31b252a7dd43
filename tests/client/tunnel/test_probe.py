from __future__ import annotations

import errno
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel import probe as module
from octelium.client.tunnel.destinations import Destination, Dialler
from octelium.client.tunnel.device import Tunnel
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.probe import dns_question, probe
from octelium.client.tunnel.state import connected
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.tunnel.pieces import Engines, FakeSide, state
from tests.client.tunnel.test_destinations import services
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def tunnel() -> AsyncIterator[Tunnel]:
    made = Tunnel(FakeSide(), keepalive=30, make_engine=Engines())
    await made.put(connected(state(dns=user.Dns())))
    yield made
    await made.close()


@pytest.fixture
def dialler(tunnel: Tunnel) -> Dialler:
    return Dialler(tunnel, services()[0])


def _service(port: int) -> Destination:
    return Destination("wiki.default", ("127.0.0.1",), port, is_udp=False)


async def test_a_service_that_answers_or_refuses(tunnel: Tunnel, dialler: Dialler) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert await probe(tunnel, dialler, [_service(port)], "lab.test") == "Service wiki.default"
    assert await probe(tunnel, dialler, [_service(reserved_port())], "lab.test")


async def test_nothing_to_ask(tunnel: Tunnel, dialler: Dialler) -> None:
    assert "no Service to ask" in await probe(tunnel, dialler, [], "lab.test")


async def test_nothing_answers(
    tunnel: Tunnel, dialler: Dialler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.05)
    monkeypatch.setattr(module, "_DNS", reserved_port())
    await tunnel.put(replace(connected(state()), dns=("127.0.0.1",)))
    failures = [OSError(errno.EHOSTUNREACH, "no way"), TimeoutError()]

    async def connect(_to: Destination) -> socket.socket:
        raise failures.pop()

    monkeypatch.setattr(dialler, "connect", connect)
    with pytest.raises(TunnelError, match=r"wiki\.default, the name server 127\.0\.0\.1"):
        await probe(tunnel, dialler, [_service(1), _service(1)], "lab.test")


async def test_a_name_server_says_no_matter_what(
    tunnel: Tunnel, dialler: Dialler, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        heard = []

        def answer() -> None:
            data, source = server.recvfrom(512)
            heard.append(data)
            server.sendto(data[:2] + b"\x84\x05" + data[4:], source)

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setattr(module, "_DNS", server.getsockname()[1])
        await tunnel.put(replace(connected(state()), dns=("127.0.0.1",)))
        assert await probe(tunnel, dialler, [], "lab.test") == "the name server 127.0.0.1"
        thread.join()
    assert heard[0][2:] == dns_question("local.lab.test")[2:]


def test_a_question_as_on_the_wire() -> None:
    question = dns_question("local.lab.test")
    assert question[2:] == (
        b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05local\x03lab\x04test\x00\x00\x06\x00\x01"
    )
