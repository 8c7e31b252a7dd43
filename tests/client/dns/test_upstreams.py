from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from octelium.client.dns import upstreams
from octelium.client.dns.messages import read_query
from octelium.client.dns.upstreams import UpstreamError, ask, dial_here
from tests.client.dns.servers import Answers, address, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

QUERY = read_query(dns.message.make_query("a.test", "A").to_wire())
NOBODY = ("127.0.0.1", 9)


def cut(answer: dns.message.Message, is_stream: bool) -> list[bytes]:
    if not is_stream:
        answer.flags |= dns.flags.TC
        return [answer.to_wire()[:-4]]
    return [answer.to_wire()]


def forged(answer: dns.message.Message, is_stream: bool) -> list[bytes]:
    good = answer.to_wire()
    return [b"", bytes(40), bytes([good[0] ^ 1]) + good[1:], good.replace(b"\1a", b"\1b"), good]


def failing(answer: dns.message.Message, is_stream: bool) -> list[bytes]:
    answer.set_rcode(dns.rcode.SERVFAIL)
    answer.answer = []
    return [answer.to_wire()]


async def test_one_after_the_other_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def be_silent(_answer: dns.message.Message, _is_stream: bool) -> list[bytes]:
        monkeypatch.undo()  # there is time again for those who are asked next
        return []

    def ask_hastily(*servers: upstreams.Server) -> Coroutine[Any, Any, bytes]:
        monkeypatch.setattr(upstreams, "PATIENCE", 0.1)
        return ask(servers, QUERY, dial_here)

    silent = Answers("10.0.0.1", change=be_silent)
    fails, good = Answers("10.0.0.2", change=failing), Answers("10.0.0.3")
    async with AsyncExitStack() as stack:
        for each in (silent, fails, good):
            await stack.enter_async_context(serving(each))
        places = [silent.place, fails.place, good.place]
        wire = await ask_hastily(NOBODY, *places)
        assert address(dns.message.from_wire(wire)) == "10.0.0.3"
        # Better the answer of a server that fails than none.
        wire = await ask_hastily(*places[:2], NOBODY)
        assert dns.message.from_wire(wire).rcode() == dns.rcode.SERVFAIL
        with pytest.raises(UpstreamError, match=r"127\.0\.0\.1 does not answer"):
            await ask_hastily(silent.place)
    with pytest.raises(UpstreamError, match=r"127\.0\.0\.1: "):
        await ask([NOBODY], QUERY, dial_here)
    with pytest.raises(UpstreamError, match="no name server"):
        await ask([], QUERY, dial_here)


async def test_a_cut_answer_is_asked_for_by_tcp() -> None:
    good = Answers("10.0.0.1", change=cut)
    async with serving(good):
        kinds = []

        async def dial(kind: upstreams.Kind, family: int) -> socket.socket:
            kinds.append(kind)
            return await dial_here(kind, family)

        wire = await ask([good.place], QUERY, dial)
    assert address(dns.message.from_wire(wire)) == "10.0.0.1"
    assert kinds == ["udp", "tcp"]


async def test_forged_answers_are_passed_over() -> None:
    good = Answers("10.0.0.1", change=forged)
    async with serving(good):
        assert address(dns.message.from_wire(await ask([good.place], QUERY, dial_here)))


async def test_a_server_that_is_guessing_is_given_up() -> None:
    junk = Answers("10.0.0.1", change=lambda answer, is_stream: [bytes(40)] * 40)
    async with serving(junk):
        with pytest.raises(UpstreamError, match="other questions"):
            await ask([junk.place], QUERY, dial_here)


@pytest.mark.parametrize("what", [b"", b"xx", bytes(40)])
async def test_a_stream_that_says_something_else(what: bytes) -> None:
    bad = Answers(
        "10.0.0.1",
        change=lambda answer, is_stream: [what] if is_stream else cut(answer, is_stream),
    )
    async with serving(bad):
        with pytest.raises(UpstreamError):
            await ask([bad.place], QUERY, dial_here)


async def test_a_tunnel_that_cannot_be_dialled_fails_at_once() -> None:
    async def dial(kind: upstreams.Kind, family: int) -> socket.socket:
        raise OSError("the tunnel is closed")

    with pytest.raises(UpstreamError, match="the tunnel is closed"):
        await ask([NOBODY, ("::1", 53)], QUERY, dial)
