"""Locks between processes, by `flock(2)` as the official clients take them."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from octelium.client.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT = 10.0
"""Seconds to wait for another process."""
_PAUSE = 0.02


class HeldError(StateError):
    """Another process has the lock."""


@contextmanager
def locked(path: Path, timeout: float = TIMEOUT, *, is_shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path`, made with mode 0600 if it is missing.

    A shared lock keeps away those alone who want one that is not, and needs no right to write:
    the file is opened to be read, and must be there.

    Raises:
        HeldError: another process does not let go within `timeout` seconds.
        StateError: a link is there: somebody else may have made it.
        OSError: the file cannot be opened.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    flags |= os.O_RDONLY if is_shared else os.O_RDWR | os.O_CREAT
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise StateError(f"{path} is a link", "remove it: a lock is none") from error
    try:
        deadline = time.monotonic() + timeout
        while not _take(handle, kind):
            if time.monotonic() >= deadline:
                raise HeldError(
                    f"another process has held {path} for {timeout:g} s",
                    "wait for it to end, or stop it",
                )
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)


def _take(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
