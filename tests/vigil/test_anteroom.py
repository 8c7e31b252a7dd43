from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.message import FieldBlock, HeaderBlock, ResponseHead, UpstreamRequest
from octelium.http.pool import Origin
from octelium.vigil.anteroom import Anteroom, AnteroomLimits, Visit
from tests.vigil.world import DOMAIN, Client, World, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from octelium.http.message import Fields

REQUEST = UpstreamRequest(b"POST", b"/", b"x", FieldBlock(()), True, None)
SMALL = AnteroomLimits(
    unfinished=6,
    unfinished_each=3,
    body=100,
    kept=300,
    kept_each=150,
    at_once=3,
    at_once_each=2,
    queue=4,
    queue_each=3,
    turn=60,
    patience=60,
)


class Sent:
    """A request as the upstream has it."""

    def __init__(self, receiver: Any, data: bytes, *, end: bool) -> None:
        self.receiver = receiver
        self.data = data
        self.end = end
        self.trailers: Fields = ()
        self.gone = False

    def send_data(self, data: bytes) -> None:
        self.data += data

    def send_end(self, trailers: Fields = ()) -> None:
        self.end = True
        self.trailers = trailers

    def reset(self) -> None:
        self.gone = True

    def pause_receiving(self) -> None: ...

    def resume_receiving(self) -> None: ...

    def answer(self) -> None:
        self.receiver.response_head(ResponseHead(200, HeaderBlock(()), 11), b"", True)


class Upstream:
    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.broken = False

    def open(
        self,
        _request: UpstreamRequest,
        receiver: Any,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> Sent:
        if self.broken:
            raise RuntimeError("broken")
        self.sent.append(Sent(receiver, data, end=end))
        return self.sent[-1]


class Asker:
    """The relay's side of one request."""

    def __init__(self) -> None:
        self.status = 0
        self.failure: Failure | None = None

    def response_head(self, head: ResponseHead, _data: bytes, _end: bool) -> None:
        self.status = head.status

    def response_failed(self, error: UpstreamError) -> None:
        assert self.failure is None
        self.failure = error.failure


class Room:
    def __init__(self, limits: AnteroomLimits = SMALL) -> None:
        self.anteroom = Anteroom(limits)
        self.upstream = Upstream()

    def ask(
        self, address: str, data: bytes = b"", *, end: bool = True, own: bool = True
    ) -> tuple[Any, Asker]:
        asker: Any = Asker()
        stream = self.anteroom.open(
            self.upstream, REQUEST, asker, data, end, address=address, own=own
        )
        return stream, asker

    def is_empty(self) -> bool:
        room = self.anteroom
        return (room.unfinished.taken, room.kept.taken, room.turns.waiting) == (0, 0, 0) and not (
            room.turns._running or room.turns._queues or room.turns._by_caller
        )


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_complete_request_goes_at_once() -> None:
    room = Room()
    _, asker = room.ask("192.0.2.1", b"ab")
    (sent,) = room.upstream.sent
    assert (sent.data, sent.end) == (b"ab", True)
    sent.answer()
    assert asker.status == 200
    assert room.is_empty()


async def test_a_body_is_kept_until_it_is_complete() -> None:
    room = Room()
    stream, _ = room.ask("192.0.2.1", b"a", end=False)
    stream.send_data(b"b")
    assert room.upstream.sent == []
    stream.send_end(((b"x", b"y"),))
    (sent,) = room.upstream.sent
    assert (sent.data, sent.end, sent.trailers) == (b"ab", True, ((b"x", b"y"),))
    sent.answer()
    assert room.is_empty()


async def test_bodies_for_others_are_passed_on_as_they_come() -> None:
    room = Room()
    stream, _ = room.ask("192.0.2.1", b"a", end=False, own=False)
    (sent,) = room.upstream.sent
    stream.send_data(b"x" * 1000)
    assert (len(sent.data), sent.end) == (1001, False)
    stream.send_end()
    assert sent.end
    assert room.is_empty()


@pytest.mark.parametrize("own", [True, False])
async def test_unfinished_ones_of_one_caller_make_room_for_each_other(own: bool) -> None:
    room = Room()
    _, victim = room.ask("192.0.2.1", b"a", end=False, own=own)
    flood = [room.ask(f"2001:db8::{number:x}", b"a", end=False, own=own)[1] for number in range(20)]
    await settle()
    assert victim.failure is None
    assert [one.failure for one in flood] == [Failure.BUSY] * 17 + [None] * 3
    assert len([one for one in room.upstream.sent if not one.gone]) == (0 if own else 4)


async def test_unfinished_ones_of_many_callers_are_bounded() -> None:
    room = Room()
    _, victim = room.ask("192.0.2.1", b"a", end=False)
    flood = [room.ask(f"198.51.100.{n % 4}", b"a", end=False)[1] for n in range(30)]
    await settle()
    assert victim.failure is None
    assert sum(one.failure is None for one in flood) == 5


async def test_bodies_are_bounded_each_and_together() -> None:
    room = Room()
    stream, large = room.ask("192.0.2.1", b"x" * 100, end=False)
    stream.send_data(b"x")
    await settle()
    assert large.failure is Failure.TOO_LARGE
    _, first = room.ask("192.0.2.1", b"x" * 100, end=False)
    _, second = room.ask("192.0.2.1", b"x" * 100, end=False)
    await settle()
    assert (first.failure, second.failure) == (Failure.BUSY, None)
    assert room.anteroom.kept.taken == 100


async def test_callers_take_turns() -> None:
    room = Room()
    for _ in range(5):
        room.ask("192.0.2.1", b"one")
    room.ask("192.0.2.2", b"two")
    assert [one.data for one in room.upstream.sent] == [b"one", b"one", b"two"]
    room.ask("192.0.2.3", b"three")
    room.upstream.sent[0].answer()
    assert room.upstream.sent[-1].data == b"one"
    room.upstream.sent[2].answer()
    assert room.upstream.sent[-1].data == b"three"
    while not room.is_empty():
        for one in tuple(room.upstream.sent):
            one.answer()
    assert len(room.upstream.sent) == 7


async def test_who_would_wait_for_long_is_told_to_come_again() -> None:
    room = Room()
    flood = [room.ask("192.0.2.1")[1] for _ in range(6)]
    await settle()
    assert [one.failure for one in flood] == [None] * 5 + [Failure.BUSY]
    _, other = room.ask("192.0.2.2")
    assert room.upstream.sent[-1].receiver.caller == "192.0.2.2"
    await settle()
    assert other.failure is None


async def test_nobody_waits_for_ever() -> None:
    room = Room(AnteroomLimits(at_once=1, at_once_each=1, turn=60, patience=0.02))
    room.ask("192.0.2.1")
    _, waits = room.ask("192.0.2.2")
    while waits.failure is None:
        await asyncio.sleep(0.005)
    assert waits.failure is Failure.BUSY
    assert len(room.upstream.sent) == 1


async def test_a_slow_answer_keeps_no_others_out() -> None:
    room = Room(AnteroomLimits(at_once=1, at_once_each=1, turn=0.02))
    room.ask("192.0.2.1")
    room.ask("192.0.2.2")
    while len(room.upstream.sent) < 2:
        await asyncio.sleep(0.005)
    for one in room.upstream.sent:
        one.answer()
    assert room.is_empty()


@pytest.mark.parametrize("answered", [True, False])
async def test_what_is_over_waits_for_no_collector(answered: bool) -> None:
    room = Room()
    gc.collect()
    gc.disable()
    try:
        stream, _ = room.ask("192.0.2.1", b"x")
        if answered:
            room.upstream.sent[0].answer()
        else:
            stream.reset()
        del stream
        room.upstream.sent.clear()
        assert not [each for each in gc.get_objects() if type(each) is Visit]
    finally:
        gc.enable()


async def test_who_goes_away_leaves_nothing_behind() -> None:
    room = Room()
    streams = [room.ask("192.0.2.1")[0] for _ in range(4)]
    streams.append(room.ask("192.0.2.1", b"abc", end=False)[0])
    for stream in reversed(streams):
        stream.reset()
    assert all(one.gone for one in room.upstream.sent)
    assert room.is_empty()


async def test_an_upstream_that_breaks_fails_one_request_alone() -> None:
    room = Room()
    room.upstream.broken = True
    _, asker = room.ask("192.0.2.1")
    await settle()
    assert asker.failure is Failure.UNREACHABLE
    assert room.is_empty()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "begin", "data", "end", "reset", "answer"]),
        st.integers(0, 3),
        st.integers(0, 40),
    ),
    max_size=80,
)


@given(STEPS)
def test_bounds_hold_whatever_comes(steps: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        room = Room()
        streams: list[Any] = []
        open_ones: list[Any] = []
        for what, caller, number in steps:
            if what == "ask":
                streams.append(room.ask(f"192.0.2.{caller}", b"x" * number)[0])
            elif what == "begin":
                streams.append(room.ask(f"192.0.2.{caller}", b"x" * number, end=False)[0])
                open_ones.append(streams[-1])
            elif what == "data" and open_ones:
                open_ones[number % len(open_ones)].send_data(b"x" * number)
            elif what == "end" and open_ones:
                open_ones.pop(number % len(open_ones)).send_end()
            elif what == "reset" and streams:
                one = streams.pop(number % len(streams))
                one.reset()
                if one in open_ones:
                    open_ones.remove(one)
            elif what == "answer" and room.upstream.sent:
                room.upstream.sent.pop(number % len(room.upstream.sent)).answer()
            anteroom = room.anteroom
            assert anteroom.unfinished.taken <= SMALL.unfinished
            assert anteroom.kept.taken <= SMALL.kept
            assert anteroom.turns._running <= SMALL.at_once
            assert anteroom.turns.waiting <= SMALL.queue
            await settle()
        for stream in streams:
            stream.reset()
        while room.upstream.sent:
            room.upstream.sent.pop().answer()
        assert room.is_empty()

    asyncio.run(run())


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.managed["authserver"] = Origin("127.0.0.1", made.origins.port)
        login = service("login.default", is_anonymous=True)
        login.status.managed_service.type = "authserver"
        made.feed.put(login, service(url=made.url, is_anonymous=True))
        yield made


async def begin(here: World, host: str = "login") -> Client:
    client = await here.connect()
    await client.send(
        f"POST /callback HTTP/1.1\r\nHost: {host}.{DOMAIN}\r\nContent-Length: 5\r\n\r\nab".encode()
    )
    return client


async def test_nobody_takes_connections_to_the_login_host(here: World) -> None:
    clients = [await begin(here) for _ in range(5)]
    await here.until(lambda: here.vigil.anteroom.unfinished.taken == 5)
    assert here.origins.connections == 0
    assert (await here.request("/login", host=f"login.{DOMAIN}", token=None)).body == b"ok"
    await clients[0].send(b"cde")
    assert (await clients[0].reply()).body == b"ok"
    assert here.origins.requests[-1].endswith(b"\r\n\r\nabcde")
    assert here.origins.connections == 1
    for client in clients:
        client.close()
    await here.until(lambda: here.vigil.anteroom.unfinished.taken == 0)


@pytest.mark.parametrize("host", ["login", "wiki"])
async def test_the_oldest_makes_room_and_learns_when_to_come_again(here: World, host: str) -> None:
    here.vigil.anteroom = Anteroom(AnteroomLimits(unfinished_each=2))
    clients = []
    for number in range(3):
        clients.append(await begin(here, host))
        count = min(number + 1, 2)
        await here.until(lambda: here.vigil.anteroom.unfinished.taken == count)  # noqa: B023
    reply = await clients[0].reply()
    assert (reply.status, reply.first(b"retry-after")) == (503, b"1")
    await clients[2].send(b"cde")
    assert (await clients[2].reply()).status == 200
    assert (await here.request(host=f"{host}.{DOMAIN}", method="POST", body=b"x")).status == 200


async def test_a_body_that_is_too_large(here: World) -> None:
    here.vigil.anteroom = Anteroom(AnteroomLimits(body=100))
    reply = await here.request(host=f"login.{DOMAIN}", token=None, method="POST", body=b"x" * 101)
    assert reply.status == 413
    assert here.origins.connections == 0


async def test_who_has_a_session_waits_for_nobody(here: World) -> None:
    here.vigil.anteroom = Anteroom(AnteroomLimits(at_once=0, patience=0.02))
    assert (await here.request(host=f"login.{DOMAIN}", token=None)).status == 503
    assert (await here.request(host=f"login.{DOMAIN}")).status == 200
