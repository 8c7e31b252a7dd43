from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import pytest

from octelium.client.dns import forwarder as module
from octelium.client.dns.forwarder import Forwarder, Route
from octelium.client.dns.upstreams import dial_here
from tests.client.dns.servers import Answers, address, exchange, look_up, serving
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from octelium.client.dns.upstreams import Kind

SUFFIXES = ("local.example.com", "example.com.local", "local")
PRIVATE = ("web.local.example.com.", "A.B.EXAMPLE.COM.LOCAL.", "web.local.", "local.")
PUBLIC = ("www.example.com.", "example.com.", "test.", "weblocal.", ".")


class Setting:
    """A forwarder between a Cluster's name server and the former one."""

    def __init__(self) -> None:
        self.cluster = Answers("100.64.0.9")
        self.former = Answers("192.0.2.9")
        self.other = Answers("100.64.0.10")
        self.dialled: list[Kind] = []
        self.up = True
        self.now = 0.0
        self.forwarder = Forwarder(
            self.dial,
            is_up=lambda: self.up,
            others=lambda: [Route(("local.other.com", "local"), (self.other.place,))],
            clock=lambda: self.now,
        )

    async def dial(self, kind: Kind, family: int) -> socket.socket:
        self.dialled.append(kind)
        return await dial_here(kind, family)

    @property
    def place(self) -> tuple[str, int]:
        assert self.forwarder.place is not None
        return self.forwarder.place


@asynccontextmanager
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    async with serving(made.cluster), serving(made.former), serving(made.other):
        await made.forwarder.start(["127.0.0.1"], reserved_port())
        made.forwarder.put(Route(SUFFIXES, (made.cluster.place,)), [made.former.place])
        try:
            yield made
        finally:
            await made.forwarder.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_each_name_goes_where_it_belongs(stream: bool) -> None:
    async with setting() as made:
        for name in PRIVATE:
            assert address(await look_up(made.place, name, stream=stream)) == "100.64.0.9"
        for name in PUBLIC:
            assert address(await look_up(made.place, name, stream=stream)) == "192.0.2.9"
        answer = await look_up(made.place, "web.local.other.com.", stream=stream)
        assert address(answer) == "100.64.0.10"
        assert [name.lower() for name in made.cluster.asked] == [name.lower() for name in PRIVATE]
        assert made.former.asked == [*PUBLIC]
        assert made.dialled == ["udp"] * len(PRIVATE)


async def test_private_names_stay_here_while_the_tunnel_is_down() -> None:
    async with setting() as made:
        await look_up(made.place, PRIVATE[0])
        made.up = False
        for name in PRIVATE:
            for kind in ("A", "AAAA", "TXT"):
                assert (await look_up(made.place, name, kind)).rcode() == dns.rcode.SERVFAIL
        assert address(await look_up(made.place, "www.example.com")) == "192.0.2.9"
        assert made.former.asked == ["www.example.com."]
        assert made.cluster.asked == [PRIVATE[0]]
        made.up = True
        made.forwarder.put(Route(SUFFIXES, ()), [made.former.place])
        assert (await look_up(made.place, PRIVATE[0])).rcode() == dns.rcode.SERVFAIL
        assert made.former.asked == ["www.example.com."]


async def test_what_a_search_list_makes_of_public_names_does_not_wait_for_a_dead_tunnel() -> None:
    async with setting() as made:
        made.up = False
        name = "octelium-api.example.com.local.example.com."
        for kind in ("A", "AAAA"):
            assert (await look_up(made.place, name, kind)).rcode() == dns.rcode.NXDOMAIN
        made.up = True
        await look_up(made.place, name)
        assert made.cluster.asked == [name], "while there is somebody to ask, it is asked"


async def test_answers_are_kept_for_as_long_as_they_are_good() -> None:
    async with setting() as made:
        await look_up(made.place, "a.test")
        made.now = 20.0
        assert (await look_up(made.place, "A.TEST")).answer[0].ttl == 40
        assert made.former.asked == ["a.test."]
        made.now = 60.0
        assert (await look_up(made.place, "a.test")).answer[0].ttl == 60
        assert len(made.former.asked) == 2
        made.forwarder.put(Route(SUFFIXES, ()), [made.former.place])
        await look_up(made.place, "a.test")
        assert len(made.former.asked) == 3


async def test_a_long_answer_is_cut_and_whole_by_tcp() -> None:
    def long(answer: dns.message.Message, is_stream: bool) -> list[bytes]:
        for last in range(150):
            more = dns.rrset.from_text(answer.question[0].name, 60, "IN", "A", f"10.0.0.{last}")
            answer.answer.append(more)
        if is_stream:
            return [answer.to_wire()]
        answer.answer, answer.flags = [], answer.flags | dns.flags.TC
        return [answer.to_wire()]

    async with setting() as made:
        made.former.change = long
        wire = await exchange(made.place, dns.message.make_query("a.test", "A").to_wire())
        assert len(wire) <= 512
        assert dns.message.from_wire(wire).flags & dns.flags.TC
        whole = await look_up(made.place, "a.test", stream=True)
        assert sum(map(len, whole.answer)) == 151


async def test_a_dead_tunnel_does_not_hold_up_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ASKED", 3)
    async with setting() as made:
        made.cluster.change = lambda answer, is_stream: []
        waiting = [
            asyncio.get_running_loop().create_task(exchange(made.place, wire))
            for wire in (
                dns.message.make_query(f"{each}.local", "A").to_wire() for each in range(3)
            )
        ]
        while len(made.cluster.asked) < 3:
            await asyncio.sleep(0.001)
        assert (await look_up(made.place, "next.local")).rcode() == dns.rcode.SERVFAIL
        assert address(await look_up(made.place, "a.test")) == "192.0.2.9"
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_junk_is_answered_shortly_or_not_at_all() -> None:
    async with setting() as made:
        assert await made.forwarder.answer(b"junk", stream=False) == b""
        two = bytearray(dns.message.make_query("a.test", "A").to_wire())
        two[5] = 2
        assert len(await exchange(made.place, bytes(two))) == 12
        assert made.former.asked == []
        for junk in (b"\0\4junk", b"\xff\xff", b"\0"):
            reader, writer = await asyncio.open_connection(*made.place)
            writer.write(junk)
            writer.write_eof()
            async with asyncio.timeout(60):
                assert await reader.read() == b""
            writer.close()
        assert address(await look_up(made.place, "a.test", stream=True))


async def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STREAMS", 1)
    async with setting() as made:
        _reader, writer = await asyncio.open_connection(*made.place)
        while not made.forwarder._streams:
            await asyncio.sleep(0.001)
        second, its = await asyncio.open_connection(*made.place)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await second.readexactly(1)
        writer.close()
        its.close()


async def test_when_other_clients_cannot_be_known_nothing_goes_out() -> None:
    def damaged() -> list[Route]:
        raise OSError("it is damaged")

    async with setting() as made:
        made.forwarder._others = damaged
        assert (await look_up(made.place, "web.local.other.com")).rcode() == dns.rcode.SERVFAIL
        assert address(await look_up(made.place, "web.local")) == "100.64.0.9"
        assert made.former.asked == []


async def test_it_does_not_ask_itself() -> None:
    async with setting() as made:
        made.forwarder.put(Route(SUFFIXES, ()), [made.place])
        assert made.forwarder.former == ()
        assert (await look_up(made.place, "a.test")).rcode() == dns.rcode.SERVFAIL


async def test_a_taken_address_is_passed_over() -> None:
    port = reserved_port()
    with socket.create_server(("127.0.0.1", port)):
        made = Forwarder(dial_here)
        with pytest.raises(OSError, match="in use"):
            await made.start(["127.0.0.1"], port)
        assert await made.start(["127.0.0.1", "127.0.0.2"], port) == ("127.0.0.2", port)
        await made.close()
        await made.close()


@pytest.mark.parametrize(
    ("own", "server", "is_own"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.53", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.53", True),
        ("0.0.0.0", "192.0.2.1", False),
        ("::", "::1", True),
        ("::1", "fe80::1%eth0", False),
    ],
)
def test_which_servers_are_itself(own: str, server: str, is_own: bool) -> None:
    made = Forwarder(dial_here)
    made.place = (own, 53)
    made.put(Route((), ()), [(server, 53), (server, 5300)])
    assert made.former == (*(() if is_own else ((server, 53),)), (server, 5300))
