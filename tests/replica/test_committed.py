from __future__ import annotations

import os
import subprocess
import sys

import pytest

from octelium.replica.committed import CommittedRevision

CHILD = """
import sys
from octelium.replica.committed import CommittedRevision
committed = CommittedRevision(int(sys.argv[1]))
for line in sys.stdin:
    if line.startswith("get"):
        print(committed.value, flush=True)
    else:
        committed.value = int(line)
        print("set", flush=True)
"""


def test_it_begins_at_zero_and_holds_any_revision(committed: CommittedRevision) -> None:
    assert committed.value == 0
    for revision in (1, 2**32 + 5, 2**64 - 1, 3):
        committed.value = revision
        assert committed.value == revision


def test_another_process_sees_it_at_once_both_ways(committed: CommittedRevision) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(committed.fileno())],
        pass_fds=[committed.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for revision in (7, 8, 2**40):
            committed.value = revision
            child.stdin.write("get\n")
            assert int(child.stdout.readline()) == revision
        child.stdin.write("99\n")
        assert child.stdout.readline() == "set\n"
        assert committed.value == 99
        child.stdin.close()


def test_the_descriptor_is_not_inherited_by_chance(committed: CommittedRevision) -> None:
    assert os.get_inheritable(committed.fileno()) is False


def test_a_file_that_is_too_short_is_refused() -> None:
    descriptor = os.memfd_create("short")
    with pytest.raises(ValueError):
        CommittedRevision(descriptor)
    os.close(descriptor)


def test_closing_twice_is_harmless() -> None:
    committed = CommittedRevision.create()
    committed.close()
    committed.close()


def test_readers_are_told_when_nothing_can_be_logged() -> None:
    writer = CommittedRevision.create()
    reader = CommittedRevision(os.dup(writer.fileno()))
    seen = [reader.unlogged]
    for unlogged in (True, False):
        writer.unlogged = unlogged
        seen.append(reader.unlogged)
    writer.value = 7
    assert seen == [False, True, False]
    assert reader.value == 7
    reader.close()
    writer.close()
