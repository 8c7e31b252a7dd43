"""Name servers of the tests' own, on loopback, and questions to them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from octelium.client.dns import forwarder, resolved, upstreams
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Change = Callable[[dns.message.Message, bool], list[bytes]]

SECONDS = 60


@contextmanager
def patience() -> Iterator[None]:
    """Have the product wait as long as a busy machine may need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upstreams, "PATIENCE", 60.0)
        patch.setattr(upstreams, "_ALL", 300.0)
        patch.setattr(forwarder, "_IDLE", 60.0)
        patch.setattr(resolved, "_SECONDS", 60.0)
        yield


@dataclass
class Answers:
    """A server that gives every name one address. `change` makes of an answer what is sent."""

    address: str
    ttl: int = 60
    asked: list[str] = field(default_factory=list)
    change: Change = field(default=lambda answer, is_stream: [answer.to_wire()])
    place: tuple[str, int] = ("", 0)

    def to(self, wire: bytes, *, is_stream: bool) -> list[bytes]:
        question = dns.message.from_wire(wire)
        name = question.question[0].name
        self.asked.append(name.to_text())
        answer = dns.message.make_response(question, recursion_available=True)
        if question.question[0].rdtype == 1:
            answer.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "A", self.address))
        return self.change(answer, is_stream)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        for each in self.answers.to(data, is_stream=False):
            self.transport.sendto(each, address)


@asynccontextmanager
async def serving(answers: Answers, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        for each in answers.to(await reader.readexactly(size), is_stream=True):
            writer.write(len(each).to_bytes(2, "big") + each)
        writer.close()

    stream = await asyncio.start_server(serve, host, port or reserved_port())
    answers.place = stream.sockets[0].getsockname()[:2]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(answers), local_addr=answers.place
    )
    try:
        yield
    finally:
        datagrams.close()
        stream.close()
        await asyncio.sleep(0)


async def exchange(place: tuple[str, int], wire: bytes) -> bytes:
    """Send a datagram; what comes back."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        await loop.sock_connect(made, place)
        await loop.sock_sendall(made, wire)
        async with asyncio.timeout(SECONDS):
            return await loop.sock_recv(made, 65_535)


async def look_up(
    place: tuple[str, int], name: str, kind: str = "A", *, stream: bool = False
) -> dns.message.Message:
    question = dns.message.make_query(name, kind)
    wire = question.to_wire()
    if not stream:
        answer = dns.message.from_wire(await exchange(place, wire))
    else:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(*place)
            writer.write(len(wire).to_bytes(2, "big") + wire)
            size = int.from_bytes(await reader.readexactly(2), "big")
            answer = dns.message.from_wire(await reader.readexactly(size))
            writer.close()
            await writer.wait_closed()
    assert question.is_response(answer)
    return answer


def address(answer: dns.message.Message) -> str:
    assert answer.rcode() == dns.rcode.NOERROR
    return str(answer.answer[0][0])
