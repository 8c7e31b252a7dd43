from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from octelium.octovigil.rego.frames import READY, Answer, Question, Reader, pack, read_answer
from octelium.octovigil.rego.helper import MEMORY, answer, serve, write_all

PACKAGE = "package octelium.condition\n"


def question(rules: str, document: bytes = b"{}", now_ns: int | None = None) -> Question:
    return Question(PACKAGE + rules, "octelium.condition", "match", document, now_ns)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (question("match if input.a == 1", b'{"a":1}'), Answer(b"true")),
        (question("match if input.a == 1"), Answer()),
        (question('match := {"x": [1, null]}'), Answer(b'{"x":[1,null]}')),
        (question("match := time.now_ns()", now_ns=7), Answer(b"7")),
        (question("match := 1 / 0"), Answer(error="line 2: div: divide by zero")),
        (
            question("match if x"),
            Answer(error="line 2: x is unsafe: nothing gives it a value before it is needed"),
        ),
    ],
)
def test_answers(asked: Question, expected: Answer) -> None:
    assert answer(asked) == expected


def test_failures_are_answers() -> None:
    assert answer(question("match if true", b"{")).error
    assert answer(question("match if true", b"[" * 5000)).error
    many = "[1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000)]"
    spent = answer(question(f"match if count({many}) > 0"))
    assert spent.spent
    assert "more steps" in spent.error


def test_serves_until_the_input_ends() -> None:
    to_helper, from_helper = os.pipe(), os.pipe()
    thread = threading.Thread(target=serve, args=(to_helper[0], from_helper[1]))
    thread.start()
    data = pack(question("match := 5")) + b"\0\0\0\1x"
    for at in range(0, len(data), 7):
        write_all(to_helper[1], data[at : at + 7])
    os.close(to_helper[1])
    thread.join(60)
    assert not thread.is_alive()
    os.close(from_helper[1])
    reader = Reader()
    while chunk := os.read(from_helper[0], 65536):
        reader.feed(chunk)
    found = [read_answer(payload) for payload in iter(reader.frame, None)]
    assert found[:2] == [READY, Answer(b"5")]
    assert "this is no question" in found[2].error
    os.close(to_helper[0])
    os.close(from_helper[0])


def test_two_questions_at_once_are_both_answered() -> None:
    to_helper, from_helper = os.pipe(), os.pipe()
    write_all(to_helper[1], pack(question("match := 1")) + pack(question("match := 2")))
    os.close(to_helper[1])
    serve(to_helper[0], from_helper[1])
    os.close(from_helper[1])
    reader = Reader()
    while chunk := os.read(from_helper[0], 65536):
        reader.feed(chunk)
    found = [read_answer(payload) for payload in iter(reader.frame, None)]
    assert found == [READY, Answer(b"1"), Answer(b"2")]
    os.close(to_helper[0])
    os.close(from_helper[0])


LIMITS = """
import os, resource, socket, sys
from octelium.octovigil.rego import helper
helper.confine(os.getppid())
print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_FSIZE)[0])
print(open("/proc/self/comm").read().strip())
try:
    bytearray(1 << 30)
except MemoryError:
    print("limited")
"""


def test_it_is_confined() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITS], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == [str(MEMORY), "0", "oct-rego", "limited"]


ROOT = Path(__file__).resolve().parents[3]
PARENT = """
import subprocess, sys, os, time
child = subprocess.Popen(
    [sys.executable, "-m", "octelium.octovigil.rego.helper", str(os.getpid())],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
)
child.stdout.read(4)
print(child.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().strip()
    assert child.exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_leaves_if_its_parent_has_left() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "octelium.octovigil.rego.helper", "1"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout == b""
