from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.child import Assignment, log_level

if TYPE_CHECKING:
    from tests.cluster.conftest import SourceCluster

CHILD = """
import os, sys, time
from octelium.cluster.child import die_with_parent
die_with_parent(int(sys.argv[1]))
print("alive", flush=True)
time.sleep(300)
"""
PARENT = f"""
import os, subprocess, sys, time
words = [sys.executable, "-c", {CHILD!r}, str(os.getpid())]
child = subprocess.Popen(words, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(300)
"""


def test_an_assignment_travels_as_text() -> None:
    assignment = Assignment("worker", "worker-1", 7, {"domain": "a.example"}, {"ready": [3]})
    assert Assignment.from_text(assignment.to_text()) == assignment


def test_messages_are_lines_of_json() -> None:
    reading, writing = os.pipe()
    Assignment("worker", "w", 1, {}, {"ready": [writing]}).tell({"ready": True})
    assert json.loads(os.read(reading, 100)) == {"ready": True}
    os.close(reading)
    os.close(writing)


def test_processes_have_no_capabilities_whoever_started_them(running: SourceCluster) -> None:
    for name in ("control", "worker-0"):
        lines = Path(f"/proc/{running.children()[name]}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        found = {line: int(status[line], 16) for line in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
        if os.geteuid() == 0:
            found["CapBnd"] = int(status["CapBnd"], 16)
        assert set(found.values()) == {0}, (name, found)
        assert status["NoNewPrivs"] == "1"


def test_processes_of_the_same_user_cannot_look_into_each_other(running: SourceCluster) -> None:
    """Files of such a process belong to root (proc(5), /proc/pid), whoever runs it."""
    for name in ("control", "worker-0"):
        assert Path(f"/proc/{running.children()[name]}/environ").stat().st_uid == 0
    assert dumpable_after("") == 1
    assert dumpable_after("child.be_private();") == 0


def dumpable_after(code: str) -> int:
    script = f"""
import ctypes
from octelium.cluster import child
{code}
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
"""
    return int(subprocess.check_output([sys.executable, "-c", script]))


def test_a_child_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


LOGGING = """
import logging, os, types
from octelium.cluster import child
child.allow_files = child.die_with_parent = child.name_process = lambda *_: None
child.importlib = types.SimpleNamespace(import_module=lambda name: types.SimpleNamespace(run=run))
def run(assignment):
    logging.getLogger("httpx").info("GET https://idp.test/metadata?key=sesame")
    logging.getLogger("fido2.server").info("New credential registered, sesame")
    logging.getLogger("octelium").info("hello")
    return 0
child.main()
"""


def test_control_gives_way_to_workers() -> None:
    code = (
        "import os; from pathlib import Path; from octelium.cluster.child import give_way; "
        "before = os.nice(0); give_way(); group = Path('/proc/self/autogroup'); "
        "print(os.nice(0) - before, group.read_text() if group.exists() else 'nice 5')"
    )
    # A session of its own: what it does to its share concerns nobody else.
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, start_new_session=True, capture_output=True, text=True, check=True, timeout=120
    )
    difference, *_, share = done.stdout.split()
    assert (difference, share) == ("5", "5")


@pytest.mark.parametrize(
    ("is_terminal", "chosen", "expected"),
    [(True, "", "WARNING"), (False, "", "INFO"), (True, "info", "INFO"), (False, "error", "ERROR")],
)
def test_a_terminal_gets_no_details(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, chosen: str, expected: str
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    monkeypatch.setenv("OCTELIUM_LOG_LEVEL", chosen)
    assert log_level() == expected


def test_urls_of_providers_are_not_logged() -> None:
    assignment = Assignment("control", "control", os.getpid(), {})
    done = subprocess.run(
        [sys.executable, "-c", LOGGING],
        env={**os.environ, "OCTELIUM_CHILD": assignment.to_text()},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "control INFO octelium: hello" in done.stderr
    assert "sesame" not in done.stderr


def test_a_child_of_a_dead_parent_leaves_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, "1"], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0
    assert done.stdout == b""
