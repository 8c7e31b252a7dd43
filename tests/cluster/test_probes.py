from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cluster.probes import TOPIC, Answer, Answering, Asking, Question
from octelium.vigil.upstream_probe import Probed
from tests.http.origins import Origins
from tests.vigil.world import service, world

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.vigil.environment import Environment


class Wire:
    """A feed with one worker on it."""

    def __init__(self) -> None:
        self.questions: Callable[[bytes], None] | None = None
        self.answers: Callable[[str, bytes], None] | None = None
        self.worker = "worker-0"
        self.sent: list[bytes] = []
        self.lost = False

    def on(self, topic: str, handler: Any) -> None:
        assert topic == TOPIC
        if self.answers is None:
            self.answers = handler
        else:
            self.questions = handler

    def ask(self, worker: str, topic: str, payload: bytes) -> bool:
        if worker != "worker-0" or self.questions is None:
            return False
        self.questions(payload)
        return True

    def send(self, topic: str, payload: bytes) -> bool:
        self.sent.append(payload)
        if not self.lost and self.answers is not None:
            self.answers(self.worker, payload)
        return True

    async def catch_up(self, timeout: float) -> bool:
        return True


class Link:
    def __init__(self, failure: OSError | None = None) -> None:
        self.failure = failure

    async def status(self) -> object:
        if self.failure is not None:
            raise self.failure
        return None


def answering(wire: Wire, environment: Environment, **options: Any) -> Answering:
    return Answering(wire, environment.replica, environment, options.pop("link", None), **options)


async def test_a_worker_asks_what_its_own_replica_names() -> None:
    wire, origin = Wire(), Origins()
    asking = Asking(wire)
    await origin.start()
    async with world() as it:
        it.feed.put(
            service("wiki.default", f"http://127.0.0.1:{origin.port}"),
            service("dead.default", "http://127.0.0.1:1"),
        )
        answering(wire, it.vigil.environment)
        uids = ("uid-wiki.default", "uid-unknown", "uid-dead.default")
        answer, seconds = await asking.ask("worker-0", uids, seconds=60)
        assert (answer.revision, answer.link) == (it.replica.revision, None)
        assert [(each.service, each.outcome) for each in answer.probed] == [
            ("wiki.default", "ok"),
            ("dead.default", "fail"),
        ]
        assert 0 < seconds < 60
        assert origin.requests[0].startswith(b"HEAD / HTTP/1.1\r\n")
        assert b"uthorization" not in origin.requests[0]
    await origin.close()


async def test_what_takes_too_long_is_not_waited_for() -> None:
    wire, origin = Wire(), Origins()
    origin.answers = [b"HTTP/1.1 200"]
    asking = Asking(wire)
    await origin.start()
    async with world() as it:
        it.feed.put(service("wiki.default", f"http://127.0.0.1:{origin.port}"))
        answering(wire, it.vigil.environment, seconds=0.05)
        answer, _ = await asking.ask("worker-0", ("uid-wiki.default",), seconds=60)
        (probed,) = answer.probed
        assert probed.outcome == "skipped"
        assert "ask for this Service alone" in probed.remedy
    await origin.close()


async def test_who_does_not_answer() -> None:
    wire = Wire()
    asking = Asking(wire)
    with pytest.raises(TimeoutError):
        await asking.ask("worker-0", seconds=0.01)
    async with world() as it:
        answering(wire, it.vigil.environment)
        with pytest.raises(TimeoutError):
            await asking.ask("worker-7", seconds=0.01)
        wire.lost = True
        with pytest.raises(TimeoutError):
            await asking.ask("worker-0", seconds=0.05)
        wire.lost = False
        wire.worker = "worker-1"  # another one cannot answer in its place
        with pytest.raises(TimeoutError):
            await asking.ask("worker-0", seconds=0.05)


async def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    wire = Wire()
    Asking(wire)
    assert wire.answers is not None
    wire.answers("worker-0", msgspec.msgpack.encode(Answer(7, 1)))


@pytest.mark.parametrize(
    ("failure", "told"), [(None, ""), (OSError("no link process"), "no link process")]
)
async def test_the_link_process_is_asked(failure: OSError | None, told: str) -> None:
    wire = Wire()
    asking = Asking(wire)
    async with world() as it:
        answering(wire, it.vigil.environment, link=Link(failure))
        answer, _ = await asking.ask("worker-0", seconds=60)
        assert answer.link == told


async def test_a_worker_answers_few_questions_at_a_time() -> None:
    wire, origin = Wire(), Origins()
    origin.answers = [b"HTTP/1.1 200"] * 9
    Asking(wire)
    await origin.start()
    async with world() as it:
        it.feed.put(service("wiki.default", f"http://127.0.0.1:{origin.port}"))
        answering(wire, it.vigil.environment, seconds=0.1)
        assert wire.questions is not None
        for number in range(9):
            question = Question(number, ("uid-wiki.default",))
            wire.questions(msgspec.msgpack.encode(question))
        async with asyncio.timeout(60):
            while len(wire.sent) < 4:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)
        assert len(wire.sent) == 4
    await origin.close()


@given(st.binary(max_size=200))
def test_bytes_are_an_answer_or_refused(data: bytes) -> None:
    for kind in (Question, Answer):
        try:
            msgspec.msgpack.decode(data, type=kind)
        except msgspec.DecodeError:
            continue


def test_what_was_found_arrives_as_it_was() -> None:
    answer = Answer(1, 2, "", (Probed("wiki.default", "127.0.0.1:80", "fail", "no", "start it"),))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=Answer) == answer
