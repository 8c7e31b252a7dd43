"""One process per data directory, held by a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path


class DirectoryLock:
    """An exclusive lock on a file, taken at construction.

    The kernel lets it go when the process ends, however it ends. Raises StoreUnusable, naming the
    holder's process id, when another process (or another store of this one) has it.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            raise StoreUnusable(
                f"{path.parent} is in use by {who}: stop it, or give this one a data directory "
                "of its own"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
