from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from octelium.client.errors import StateError
from octelium.client.locks import HeldError, locked

if TYPE_CHECKING:
    from pathlib import Path

_HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_that_holds_the_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _HOLDER, path], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(HeldError, match="another process has held"), locked(path, 0.05):
            pytest.fail("two processes hold the lock")
        taken = threading.Event()

        def take() -> None:
            with locked(path):
                taken.set()

        waiting = threading.Thread(target=take)
        waiting.start()
        assert not taken.wait(0.05)
        holder.stdin.close()
        assert taken.wait(60)
        waiting.join()


def test_the_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked(path, 0):
        assert path.stat().st_mode & 0o777 == 0o600


def test_who_only_reads_shares_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(FileNotFoundError), locked(path, is_shared=True):
        pytest.fail("there is no lock")
    path.touch(mode=0o400)
    shared = locked(path, 0, is_shared=True)
    with locked(path, is_shared=True), shared, pytest.raises(HeldError), locked(path, 0):
        pytest.fail("somebody reads")
    with locked(path), pytest.raises(HeldError), locked(path, 0, is_shared=True):
        pytest.fail("somebody writes")


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    """Or whoever made it would have any file made."""
    path = tmp_path / "x.lock"
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(StateError, match=r"x\.lock is a link") as caught, locked(path):
        pytest.fail("it is a link")
    assert not isinstance(caught.value, HeldError)
    assert not (tmp_path / "victim").exists()
