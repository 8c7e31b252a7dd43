"""The last committed revision, in memory that all processes of a machine share.

The writer sets it before it replies; a reader whose replica is behind it catches up before it
decides. That is what makes an acknowledged write visible to the next request.
"""

from __future__ import annotations

import mmap
import os

_SIZE = mmap.PAGESIZE


class CommittedRevision:
    """One 64-bit number behind a file descriptor that child processes inherit."""

    __slots__ = ("_descriptor", "_memory", "_view")

    def __init__(self, descriptor: int) -> None:
        """Map the number behind `descriptor`, which from now on belongs to this object.

        Raises ValueError for a file that cannot hold it.
        """
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SIZE)
        # A native 64-bit cell: read and written in one piece, which struct's standard formats
        # are not.
        self._view = memoryview(self._memory).cast("Q")

    @classmethod
    def create(cls) -> CommittedRevision:
        """A new number, 0, with a descriptor that is not inherited unless passed on."""
        descriptor = os.memfd_create("octelium-revision", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _SIZE)
        return cls(descriptor)

    @property
    def value(self) -> int:
        """The revision."""
        return self._view[0]

    @value.setter
    def value(self, revision: int) -> None:
        self._view[0] = revision

    @property
    def unlogged(self) -> bool:
        """Whether the writer cannot keep the access log, so that what is served goes unrecorded."""
        return bool(self._view[1])

    @unlogged.setter
    def unlogged(self, unlogged: bool) -> None:
        self._view[1] = int(unlogged)

    def fileno(self) -> int:
        """The descriptor to pass to a child process, which gives it to the constructor."""
        return self._descriptor

    def close(self) -> None:
        """Let go of memory and descriptor. Idempotent."""
        if self._descriptor >= 0:
            self._view.release()
            self._memory.close()
            os.close(self._descriptor)
            self._descriptor = -1
