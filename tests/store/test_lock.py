from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.store.errors import StoreUnusable
from octelium.store.lock import DirectoryLock

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from octelium.store.lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "lock")
    with pytest.raises(StoreUnusable, match=f"in use by process {os.getpid()}:.*directory"):
        DirectoryLock(tmp_path / "lock")
    lock.release()
    lock.release()
    DirectoryLock(tmp_path / "lock").release()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreUnusable, match=f"process {holder.pid}"):
            DirectoryLock(path)
        holder.kill()
    lock = DirectoryLock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_the_lock_file_is_private(tmp_path: Path) -> None:
    DirectoryLock(tmp_path / "lock").release()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
