from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.rego import evaluator as evaluators
from octelium.octovigil.rego.evaluator import Evaluator
from octelium.octovigil.rego.frames import Answer, Question
from octelium.octovigil.rego.process import HelperProcess
from octelium.policy.rego.module import CONDITION, compile_module
from octelium.policy.rego.needed import (
    UNDEFINED,
    RegoBudgetError,
    RegoError,
    RegoNeeded,
    RegoResults,
    RegoUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEADLINE = evaluators.DEADLINE
PACKAGE = "package octelium.condition\n"
ENDLESS = """match if {
    count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000)]) > input.x
}"""


def needed(rules: str, document: bytes = b"{}", asker: str = "ann") -> RegoNeeded:
    results = RegoResults(0, asker)
    return RegoNeeded(compile_module(PACKAGE + rules, CONDITION), document, results)


@pytest.fixture
async def evaluator() -> AsyncIterator[Evaluator]:
    made = Evaluator()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is late because the machine is slow: what is tested is the order of things."""
    for name in ("DEADLINE", "STARTING", "PENALTY"):
        monkeypatch.setattr(evaluators, name, 60.0)
    monkeypatch.setattr(evaluators, "BUDGET", 120.0)


async def evaluate(
    evaluator: Evaluator, rules: str, document: bytes = b"{}", asker: str = "ann"
) -> Any:
    return await evaluator.evaluate(needed(rules, document, asker), time.monotonic() + 600)


def asked(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as the process that runs is asked."""
    process, event = evaluator._process, threading.Event()
    assert process is not None
    ask = process.ask

    def told(question: Question, deadline: float) -> Answer:
        event.set()
        return ask(question, deadline)

    monkeypatch.setattr(process, "ask", told)
    return event


async def test_results(evaluator: Evaluator) -> None:
    assert evaluator.pid is None
    assert await evaluate(evaluator, "match if input.a == 1", b'{"a":1}') is True
    assert await evaluate(evaluator, "match if input.a == 2", b'{"a":1}') is UNDEFINED
    assert await evaluate(evaluator, 'match := {"a": [1.5, null]}') == {"a": [1.5, None]}
    assert await evaluate(evaluator, "match := null") is None
    with pytest.raises(RegoError, match="divide by zero"):
        await evaluate(evaluator, "match := 1 / 0")
    assert evaluator.pid is not None


async def test_what_costs_too_much_is_refused_for_a_while(evaluator: Evaluator) -> None:
    with pytest.raises(RegoBudgetError):
        await evaluate(evaluator, ENDLESS)
    assert evaluator.pid is not None
    os.kill(evaluator.pid, signal.SIGSTOP)  # it is not asked
    with pytest.raises(RegoUnavailableError, match="took too long a moment ago"):
        await evaluate(evaluator, ENDLESS, b'{"x":5}')
    os.kill(evaluator.pid, signal.SIGCONT)
    assert await evaluate(evaluator, "match := 1") == 1


async def test_a_penalty_ends_and_doubles(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluators, "PENALTY", 0.05)
    with pytest.raises(RegoBudgetError):
        await evaluate(evaluator, ENDLESS)
    await asyncio.sleep(0.06)
    with pytest.raises(RegoBudgetError):
        await evaluate(evaluator, ENDLESS)
    (penalty,) = evaluator._penalties.values()
    assert penalty.seconds == 0.1
    penalty.until = time.monotonic() + 60
    with pytest.raises(RegoUnavailableError, match="a moment ago"):
        await evaluate(evaluator, ENDLESS)


async def test_the_deadline_ends_what_hangs(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await evaluate(evaluator, "match := 1") == 1
    first = evaluator.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    started = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(evaluators, "DEADLINE", 0.2)
        with pytest.raises(RegoUnavailableError, match="longer than"):
            await evaluate(evaluator, "match := 2")
    assert time.monotonic() - started >= 0.2
    assert await evaluate(evaluator, "match := 3") == 3
    assert evaluator.pid != first


async def test_a_killed_process_is_replaced(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await evaluate(evaluator, "match := 1") == 1
    first = evaluator.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # it will be killed in the midst of an evaluation
    begun = asked(evaluator, monkeypatch)
    hanging = asyncio.ensure_future(evaluate(evaluator, "match := 2"))  # noqa: TID251 - a test
    assert await asyncio.to_thread(begun.wait, 60)
    assert not hanging.done()
    os.kill(first, signal.SIGKILL)
    with pytest.raises(RegoUnavailableError, match="failed"):
        await hanging
    assert await evaluate(evaluator, "match := 2") == 2
    assert evaluator.pid not in (None, first)


async def test_a_process_that_ends_unasked_is_replaced(evaluator: Evaluator) -> None:
    assert await evaluate(evaluator, "match := 1") == 1
    first = evaluator.pid
    assert first is not None
    assert evaluator._process is not None
    os.kill(first, signal.SIGKILL)
    while not evaluator._process.has_ended:
        await asyncio.sleep(0)
    assert await evaluate(evaluator, "match := 2") == 2
    assert evaluator.pid not in (None, first)


async def test_nothing_is_begun_that_has_not_all_its_time(evaluator: Evaluator) -> None:
    assert await evaluate(evaluator, "match := 1") == 1
    pid = evaluator.pid
    for left in (0.0, 0.1, evaluators.DEADLINE - 0.05):
        with pytest.raises(RegoUnavailableError, match="wait for too long"):
            await evaluator.evaluate(needed("match := 1"), time.monotonic() + left)
    # Who waits behind it is not at a loss of the process, and nobody is at fault.
    assert await evaluate(evaluator, "match := 1") == 1
    assert evaluator.pid == pid


async def test_a_start_outlasts_whoever_caused_it(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)

    class Slow(HelperProcess):
        """A start that takes an hour."""

        def __init__(self, deadline: float) -> None:
            super().__init__(deadline)
            clock.passed += 3600

    monkeypatch.setattr(evaluators, "HelperProcess", Slow)
    with pytest.raises(RegoUnavailableError, match="wait for too long"):
        await evaluator.evaluate(needed("match := 1"), clock.monotonic() + 1800)
    pid = evaluator.pid
    assert pid is not None
    assert await evaluator.evaluate(needed("match := 1"), clock.monotonic() + 1800) == 1
    assert evaluator.pid == pid


class Clock:
    """The evaluator's: time goes on by itself, and by what is added to `passed`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0.0
        monkeypatch.setattr(evaluators, "time", SimpleNamespace(monotonic=self.monotonic))

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


async def test_a_penalty_is_for_who_asked(evaluator: Evaluator) -> None:
    with pytest.raises(RegoBudgetError):
        await evaluate(evaluator, ENDLESS, asker="eve")
    with pytest.raises(RegoUnavailableError, match="a moment ago"):
        await evaluate(evaluator, ENDLESS, asker="eve")
    with pytest.raises(RegoBudgetError):  # it is tried
        await evaluate(evaluator, ENDLESS, asker="ann")
    assert await evaluate(evaluator, "match := 1", asker="eve") == 1


async def test_thinking_has_no_penalties(evaluator: Evaluator) -> None:
    resolve = evaluator.resolver(asyncio.get_running_loop(), "eve")
    for _ in range(2):
        demand = needed(ENDLESS, asker="eve")
        await asyncio.to_thread(resolve, demand)
        assert isinstance(demand.results.known[demand.key], RegoBudgetError)


class Metered:
    """A process that takes as many seconds as its module says, by a clock that stands still."""

    pid = 0
    has_ended = False

    def __init__(self, clock: SimpleNamespace) -> None:
        self.clock = clock

    def ask(self, question: Question, _deadline: float) -> Answer:
        self.clock.now += float(question.text.rpartition(" ")[2])
        return Answer(b"1")

    def interrupt(self) -> None:
        pass

    kill = interrupt


async def test_who_has_taken_less_comes_first(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for a lot keeps another waiting for one evaluation at most."""
    clock = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr(evaluators, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(evaluators, "HelperProcess", lambda _deadline: Metered(clock))
    order: list[str] = []

    async def ask(asker: str, seconds: float) -> None:
        await evaluate(evaluator, f"match := {seconds}", asker=asker)
        order.append(asker)

    async def ann() -> None:
        for _ in range(4):
            await ask("ann", 0.01)

    await ask("eve", 0.5)
    assert evaluator._recently("eve") > evaluator._recently("ann") == 0
    await asyncio.gather(*(ask("eve", 0.5) for _ in range(8)), ann())
    # Each time one of eve's, which had begun, comes between.
    assert order == ["eve", *["ann", "eve"] * 4, *["eve"] * 4]


async def test_the_queue_is_bounded(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluators, "MAX_WAITING_EACH", 3)
    waiting = [evaluate(evaluator, "match := 1") for _ in range(10)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes.count(1) >= 3
    refused = [outcome for outcome in outcomes if outcome != 1]
    assert refused
    assert all(isinstance(outcome, RegoUnavailableError) for outcome in refused)
    monkeypatch.setattr(evaluators, "MAX_BYTES", 10)
    with pytest.raises(RegoUnavailableError, match="too many"):
        await evaluate(evaluator, "match := 1", b'"0123456789"')
    assert await evaluate(evaluator, "match := 1") == 1


async def test_askers_take_turns(evaluator: Evaluator) -> None:
    order: list[str] = []

    async def ask(asker: str) -> None:
        await evaluate(evaluator, "match := 1", asker=asker)
        order.append(asker)

    await asyncio.gather(*(ask("eve") for _ in range(20)), ask("ann"))
    assert order.index("ann") <= 2


async def test_one_asker_does_not_fill_the_queue(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluators, "MAX_BYTES_EACH", 50)
    document = b'"' + b"x" * 20 + b'"'
    waiting = [evaluate(evaluator, "match := 1", document, "eve") for _ in range(9)]
    waiting.append(evaluate(evaluator, "match := 1", document, "ann"))
    *of_eve, of_ann = await asyncio.gather(*waiting, return_exceptions=True)
    assert any(isinstance(each, RegoUnavailableError) for each in of_eve)
    assert of_ann == 1


async def test_whoever_leaves_is_not_served(evaluator: Evaluator) -> None:
    assert await evaluate(evaluator, "match := 1") == 1
    task = asyncio.ensure_future(evaluate(evaluator, "match := 2"))  # noqa: TID251 - a test
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await evaluate(evaluator, "match := 3") == 3


async def test_closing_fails_what_waits_and_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluator = Evaluator()
    assert await evaluate(evaluator, "match := 1") == 1
    pid = evaluator.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    begun = asked(evaluator, monkeypatch)
    waiting = [
        asyncio.ensure_future(evaluate(evaluator, f"match := {number}"))  # noqa: TID251 - a test
        for number in range(3)
    ]
    assert await asyncio.to_thread(begun.wait, 60)
    evaluator.close()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, RegoUnavailableError)
    with pytest.raises(RegoUnavailableError):
        await evaluate(evaluator, "match := 1")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the process still runs")


async def test_threads_can_wait_for_results(evaluator: Evaluator) -> None:
    resolve = evaluator.resolver(asyncio.get_running_loop())
    demand = needed("match := 5")
    await asyncio.to_thread(resolve, demand)
    assert demand.results.known == {demand.key: 5}
    failing = needed("match := 1 / 0")
    await asyncio.to_thread(resolve, failing)
    assert isinstance(failing.results.known[failing.key], RegoError)


BOMBS = {
    "loops": ENDLESS,
    "cross product": """match if {
        some a in numbers.range(1, 1000); some b in numbers.range(1, 1000)
        some c in numbers.range(1, 1000); a + b + c == 0
    }""",
    "huge range": "match if count(numbers.range(0, 1000000000000)) > 0",
    "many ranges": """match if {
        count([numbers.range(0, 90000) | some i in numbers.range(1, 90000)]) > 0
    }""",
    "regular expression": """match if {
        text := concat("", ["a" | some i in numbers.range(1, 90000)])
        not regex.match("^(a+)+(a|aa)+(a|a?)+$", concat("", [text, "!"]))
        count([1 | some i in numbers.range(1, 90000); regex.match("(a|b)*c", text)]) > 0
    }""",
    "doubled text": """match if {
        a := concat("", ["x" | some i in numbers.range(1, 90000)])
        b := concat("", [a | some i in numbers.range(1, 90000)])
        count(b) > 0
    }""",
    "large number": """match if {
        a := product([9 | some i in numbers.range(1, 90000)])
        a > 0
    }""",
    "shift": "match if bits.lsh(1, 100000000000) > 0",
    "calls": "match if f9(1)\nf0(x) := x\n"
    + "\n".join(
        f"f{n + 1}(x) := f{n}(x) + f{n}(x) + f{n}(x) + f{n}(x) + f{n}(x)" for n in range(9)
    ),
    "sorting": """match if {
        xs := [100000 - i | some i in numbers.range(1, 90000)]
        count([1 | some i in numbers.range(1, 90000); sort(xs)[0] == 5]) > 0
    }""",
    "nested": "match if count("
    + "".join(f"[x{n} | some x{n} in numbers.range(1, 99); count(" for n in range(8))
    + "[]"
    + ") >= 0]" * 8
    + ") > 5",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
async def test_bombs_are_refused_while_others_are_answered(
    name: str, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the module does, the event loop turns all the time."""
    assert await evaluate(evaluator, "match := 1") == 1
    longest = 0.0
    over = False

    async def tick() -> None:
        nonlocal longest
        last = time.process_time()
        while not over:
            await asyncio.sleep(0)
            now = time.process_time()
            longest, last = max(longest, now - last), now

    ticking = asyncio.ensure_future(tick())  # noqa: TID251 - a test
    with monkeypatch.context() as patch:
        patch.setattr(evaluators, "DEADLINE", DEADLINE)
        async with asyncio.timeout(60):
            with pytest.raises(RegoError):
                await evaluate(evaluator, BOMBS[name], b'{"x":0}')
    over = True
    await ticking
    # What this process works on: a busy machine may take away any turn.
    assert longest < 0.25
    assert await evaluate(evaluator, "match := 1") == 1
