from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.message import FieldBlock, HeaderBlock, ResponseHead, UpstreamRequest
from octelium.http.ticker import Ticker
from octelium.vigil.unfinished import (
    MOST_BYTES,
    MOST_BYTES_EACH,
    SILENCE,
    Unfinished,
    UnfinishedCall,
    session_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.http.exchange import ResponseReceiver, UpstreamStream

LARGEST = 20 << 20
Seen = list[tuple[Any, ...]]


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: Seen = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *said: self.seen.append((name, *said))


class Component:
    """Connections that record; the last stream and its receiver."""

    def __init__(self) -> None:
        self.stream = Recorder()
        self.receiver: Any = None
        self.opened: Seen = []

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        self.opened.append((request.target, data, end, fresh))
        self.receiver = receiver
        self.stream = Recorder()
        return cast("UpstreamStream", self.stream)


class Caller:
    """One call of a Session."""

    def __init__(
        self, unfinished: Unfinished, session: str, data: bytes = b"", *, end: bool = False
    ) -> None:
        self.component = Component()
        self.receiver = Recorder()
        connections = unfinished.at(self.component)
        relay = cast("ResponseReceiver", self.receiver)
        self.stream = connections.open(request_of(session), relay, data, end)
        self.inner = self.component.stream

    def has_ended(self) -> bool:
        return ("reset",) in self.inner.seen

    def status(self) -> tuple[bytes, bytes]:
        """What the client is told, and nothing else."""
        ((name, head, data, end),) = self.receiver.seen
        assert (name, head.status, data, end) == ("response_head", 200, b"", True)
        index = head.block.index
        assert index[b"content-type"] == b"application/grpc"
        return index[b"grpc-status"], index[b"grpc-message"]


def request_of(session: str, *fields: tuple[bytes, bytes]) -> UpstreamRequest:
    own = [(b"x-octelium-session-uid", session.encode())] if session else []
    block = FieldBlock((*fields, *own, (b"user-agent", b"x")))
    return UpstreamRequest(b"POST", b"/a.S/Do", b"api", block, True)


@pytest.fixture
def ticker() -> Ticker:
    made = Ticker()
    made.now = 1000.0
    return made


@pytest.fixture
def unfinished(ticker: Ticker) -> Unfinished:
    return Unfinished(ticker, 300, 100)


async def soon() -> None:
    await asyncio.sleep(0)


def test_the_session_is_the_one_that_the_proxy_names() -> None:
    assert session_of(request_of("")) == ""
    assert session_of(request_of("one")) == "one"
    assert session_of(request_of("one", (b"x-octelium-session-uid", b"spoofed"))) == "one"
    assert session_of(request_of("", (b"x-other", b"x-octelium-session-uid: a"))) == ""


def test_there_is_room_for_the_largest_message() -> None:
    assert LARGEST < MOST_BYTES_EACH < MOST_BYTES


async def test_what_is_complete_passes_as_it_is(unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "one", b"x" * 1000, end=True)
    assert caller.stream is cast("Any", caller.inner)
    assert caller.component.receiver is caller.receiver
    assert caller.component.opened == [(b"/a.S/Do", b"x" * 1000, True, False)]
    assert not unfinished.calls


async def test_who_has_no_session_is_bounded_elsewhere(unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "", b"x")
    assert caller.stream is cast("Any", caller.inner)
    assert not unfinished.calls


async def test_a_call_passes_both_ways(unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "one", b"ab")
    assert caller.component.opened == [(b"/a.S/Do", b"ab", False, False)]
    caller.stream.send_data(b"cde")
    assert unfinished.budget.taken == 5
    caller.stream.send_end(((b"t", b"1"),))
    assert unfinished.budget.taken == 0
    assert not unfinished.calls
    caller.stream.pause_receiving()
    caller.stream.resume_receiving()
    assert caller.inner.seen == [
        ("send_data", b"cde"),
        ("send_end", ((b"t", b"1"),)),
        ("pause_receiving",),
        ("resume_receiving",),
    ]
    head = ResponseHead(200, HeaderBlock(()), 20)
    answers: Sequence[tuple[Any, ...]] = [
        ("response_informational", head),
        ("upstream_paused",),
        ("upstream_resumed",),
        ("response_head", head, b"x", False),
        ("response_data", b"y"),
        ("response_ended", ()),
    ]
    for name, *said in answers:
        getattr(caller.component.receiver, name)(*said)
    assert caller.receiver.seen == answers


@pytest.mark.parametrize("how", ["answered", "failed", "ended", "given up"])
async def test_the_end_of_a_call_gives_everything_back(unfinished: Unfinished, how: str) -> None:
    caller = Caller(unfinished, "one", b"x" * 60)
    behind = caller.component.receiver
    head = ResponseHead(200, HeaderBlock(()), 20)
    if how == "answered":
        behind.response_head(head, b"", True)
    elif how == "failed":
        behind.response_failed(UpstreamError(Failure.CLOSED))
    elif how == "ended":
        behind.response_head(head, b"", False)
        behind.response_ended(())
    else:
        caller.stream.reset()
        assert caller.has_ended()
    assert unfinished.budget.taken == 0
    assert not unfinished.calls
    told = list(caller.receiver.seen)
    assert len(told) == {"answered": 1, "failed": 1, "ended": 2, "given up": 0}[how]
    caller.stream.send_data(b"late")
    caller.stream.reset()
    behind.response_data(b"late")
    assert unfinished.budget.taken == 0
    assert caller.receiver.seen == told


async def test_the_oldest_call_of_a_session_that_holds_too_much_ends(
    unfinished: Unfinished,
) -> None:
    other = Caller(unfinished, "other", b"x" * 90)
    first = Caller(unfinished, "one", b"x" * 40)
    second = Caller(unfinished, "one", b"x" * 60)
    assert not first.has_ended()
    second.stream.send_data(b"x")
    assert first.has_ended()
    assert not first.receiver.seen  # not from within the other call
    await soon()
    number, text = first.status()
    assert number == b"8"
    assert b"try later" in text
    assert unfinished.budget.taken == 151
    assert not second.has_ended()
    assert not other.has_ended()
    first.stream.send_data(b"more")
    first.stream.send_end()
    assert first.inner.seen == [("reset",)]


async def test_one_call_alone_may_be_too_much(unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "one", b"x" * 101)
    await soon()
    assert caller.has_ended()
    assert caller.status()[0] == b"8"
    assert unfinished.budget.taken == 0
    assert not unfinished.calls


async def test_whoever_holds_most_makes_room_for_others(unfinished: Unfinished) -> None:
    callers = [Caller(unfinished, str(number), b"x" * (90 + number)) for number in range(3)]
    Caller(unfinished, "last", b"x" * 30)
    assert [caller.has_ended() for caller in callers] == [False, False, True]


async def test_a_call_that_has_begun_to_answer_ends_with_trailers(unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "one", b"x" * 60)
    head = ResponseHead(200, HeaderBlock(()), 20)
    caller.component.receiver.response_head(head, b"", False)
    Caller(unfinished, "one", b"x" * 60)
    await soon()
    assert caller.has_ended()
    name, trailers = caller.receiver.seen[-1]
    assert name == "response_ended"
    assert trailers[0] == (b"grpc-status", b"8")


async def test_who_gives_up_at_the_same_time_is_told_nothing(unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "one", b"x" * 101)
    caller.stream.reset()
    await soon()
    assert not caller.receiver.seen


async def test_a_request_of_which_nothing_comes_ends(
    ticker: Ticker, unfinished: Unfinished
) -> None:
    silent, slow = Caller(unfinished, "one"), Caller(unfinished, "two", b"x")
    done = Caller(unfinished, "three", b"x")
    done.stream.send_end()
    ticker.now += SILENCE - 1
    slow.stream.send_data(b"x")
    unfinished.tick(ticker.now)
    assert not silent.has_ended()
    ticker.now += 1
    unfinished.tick(ticker.now)
    await soon()
    assert silent.status() == (b"4", b"nothing came of the request for 10 s")
    assert not slow.has_ended()
    ticker.now += SILENCE
    unfinished.tick(ticker.now)
    assert slow.has_ended()
    assert not done.has_ended()
    assert unfinished.budget.taken == 0


async def test_who_is_kept_waiting_is_not_silent(ticker: Ticker, unfinished: Unfinished) -> None:
    caller = Caller(unfinished, "one", b"x")
    caller.component.receiver.upstream_paused()
    ticker.now += 10 * SILENCE
    unfinished.tick(ticker.now)
    assert not caller.has_ended()
    caller.component.receiver.upstream_resumed()
    unfinished.tick(ticker.now + SILENCE - 1)
    assert not caller.has_ended()
    unfinished.tick(ticker.now + SILENCE)
    assert caller.has_ended()


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["open", "data", "end"]), st.integers(0, 120)),
        max_size=60,
    )
)
def test_never_more_than_the_bounds(steps: list[tuple[int, str, int]]) -> None:
    async def run() -> None:
        unfinished = Unfinished(Ticker(), 300, 100)
        calls: list[tuple[str, Caller, list[int]]] = []
        for owner, step, size in steps:
            session = str(owner)
            if step == "open":
                calls.append((session, Caller(unfinished, session, b"x" * size), [size]))
            elif calls:
                _, caller, sizes = calls[size % len(calls)]
                if caller.has_ended():
                    continue
                if step == "data":
                    caller.stream.send_data(b"x" * (size + 1))
                    sizes.append(size + 1)
                else:
                    caller.stream.send_end()
                    calls.remove(calls[size % len(calls)])
            open_ones = [one for one in calls if not one[1].has_ended()]
            held = sum(sum(sizes) for _, _, sizes in open_ones)
            assert held == unfinished.budget.taken <= 300
            assert len(unfinished.calls) == len(open_ones)
            for name in "01234":
                assert sum(sum(s) for n, _, s in open_ones if n == name) <= 100
        await soon()

    asyncio.run(run())


async def test_nothing_of_a_call_that_is_over_refers_to_it(unfinished: Unfinished) -> None:
    """A cycle would wait for the garbage collector."""
    caller = Caller(unfinished, "one", b"x")
    call = caller.stream
    assert isinstance(call, UnfinishedCall)
    caller.component.receiver.response_head(ResponseHead(200, HeaderBlock(()), 20), b"", True)
    assert call._receiver is None
    assert call._inner is not cast("Any", caller.inner)
