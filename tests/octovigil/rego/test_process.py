from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.octovigil.rego.frames import Answer, FrameError, Question
from octelium.octovigil.rego.process import HelperProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "package octelium.condition\n"


def question(rules: str, document: bytes = b"{}") -> Question:
    return Question(PACKAGE + rules, "octelium.condition", "match", document)


@pytest.fixture
def process() -> Iterator[HelperProcess]:
    made = HelperProcess(time.monotonic() + 60)
    yield made
    made.kill()


def test_it_answers(process: HelperProcess) -> None:
    deadline = time.monotonic() + 60
    assert process.ask(question("match := 1"), deadline) == Answer(b"1")
    large = b'{"a":"%s"}' % (b"x" * 3_000_000)
    asked = question("match := count(input.a)", large)
    assert process.ask(asked, deadline) == Answer(b"3000000")
    assert process.ask(question("match := input.a", large), deadline).value == large[5:-1]


def test_it_is_given_up_at_the_deadline(process: HelperProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        process.ask(question("match := 1"), started + 0.1)
    assert time.monotonic() - started >= 0.1
    with pytest.raises(TimeoutError):
        # More than a pipe holds: nobody reads it.
        process.ask(question("match := 1", b'"%s"' % (b"x" * 3_000_000)), started + 0.2)


def test_its_end_is_noticed(process: HelperProcess) -> None:
    process.interrupt()
    with pytest.raises((FrameError, BrokenPipeError)):
        process.ask(question("match := 1"), time.monotonic() + 60)


def test_it_gets_no_secrets(process: HelperProcess) -> None:
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names <= {b"PYTHONPATH", b"LANG", b"LC_ALL", b"TZ", b"PYTHONTZPATH", b"LC_CTYPE"}
    descriptors = {
        str(entry.readlink()).partition(":")[0]
        for entry in Path(f"/proc/{process.pid}/fd").iterdir()
    }
    assert descriptors <= {"pipe", "/dev/null"}


def test_it_has_to_start_in_time() -> None:
    with pytest.raises(TimeoutError):
        HelperProcess(time.monotonic() + 0.001)


def test_it_runs_out_of_memory_and_goes_on(process: HelperProcess) -> None:
    # Each of these texts has 4 MB, and there are 150 of them.
    rules = """match if {
        a := concat("", ["x" | some i in numbers.range(1, 100000)])
        b := concat("", [a | some i in numbers.range(1, 40)])
        c := [concat("", [b, format_int(i, 10)]) | some i in numbers.range(1, 150)]
        count(c) > 0
    }"""
    deadline = time.monotonic() + 60
    found = process.ask(question(rules), deadline)
    assert found.spent
    assert process.ask(question("match := 1"), deadline) == Answer(b"1")
