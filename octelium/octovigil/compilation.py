"""Compiling without holding up the event loop.

An expression takes a fifth of a millisecond to compile, a long one up to a tenth of a second. What
a decision needs is compiled at once while it is little. Otherwise the decision waits until a thread
has done it, and is then made on the resources of that moment.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT_ONCE: Final = 4096
"""Bytes of resources that are compiled at once: some 40 expressions, or 10 ms."""

Work = tuple[int, int, "Callable[[], object]"]
"""Version and size of an entry with something to compile, and what compiles and keeps it."""


class CompilationNeeded(Exception):  # noqa: N818 - a demand, not a failure
    """So much is to be compiled first that whoever asked has to wait, and to ask again."""

    def __init__(self, work: Sequence[Work]) -> None:
        super().__init__("Policies have to be compiled first")
        self.work = work

    @property
    def key(self) -> tuple[int, ...]:
        """The same for the same work."""
        return tuple(version for version, _size, _compile in self.work)

    def run(self) -> None:
        """Do all of it."""
        for _version, _size, compile_entry in self.work:
            compile_entry()


def demand(work: Sequence[Work]) -> None:
    """Let whoever asked wait if it takes long.

    Raises:
        CompilationNeeded: it does.
    """
    if sum(size for _version, size, _compile in work) > AT_ONCE:
        raise CompilationNeeded(work)


class Compilations:
    """What a thread compiles, one piece of work after the other and each once."""

    __slots__ = ("_executor", "_running")

    def __init__(self) -> None:
        self._running: dict[tuple[int, ...], asyncio.Future[None]] = {}
        self._executor = ThreadPoolExecutor(1, "compilation")  # begins its thread with the work

    def close(self) -> None:
        """Begin nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def finish(self, needed: CompilationNeeded) -> None:
        """Return when it is compiled. Raises whatever made that impossible."""
        key = needed.key
        running = self._running.get(key)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._executor, needed.run)
            self._running[key] = running
            running.add_done_callback(lambda _done: self._running.pop(key))
        # Several may wait for it: it goes on when one of them is cancelled.
        await asyncio.wait([running])
        running.result()
