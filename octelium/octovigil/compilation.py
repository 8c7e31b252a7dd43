"""Compiling without holding up the event loop.

An expression takes a fifth of a millisecond to compile, a long one up to a tenth of a second, and a
regular expression of a few characters as long as its automaton is large. What a decision needs is
compiled at once while it is little. Otherwise the decision waits until a thread has done it, and is
then made on the resources of that moment.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

AT_ONCE: Final = 4096
"""The cost up to which resources are compiled at once: some 40 expressions, or 10 ms."""

_REGULAR: Final = re.compile(rb"matches|regex|glob")
"""What stands before every regular expression: `matches`, `regex.match`, `glob.match`, …"""
_LARGE_AUTOMATON: Final = re.compile(rb"\{|\\[pPuUxX0-9]")
"""What makes the automaton of a short one large: counted repetitions and classes of characters, and
escapes that may hide those (https://github.com/google/re2/wiki/Syntax)."""
_REGULAR_COST: Final = 256
"""Of a regular expression with a small automaton."""
_LOOP: Final = re.compile(
    rb"\.\s*(?:all|exists|exists_one|existsOne|map|filter|bind|transform\w*)\s*\("
)
_LOOP_COST: Final = 48
_SEPARATORS: Final = (b",", b"|", b"&")
_ELEMENT_COST: Final = 3
"""Of what may be short: elements of lists and maps, and parts of `||` and `&&`."""

Work = tuple["Hashable", int, "Callable[[], object]"]
"""What tells it apart from all other work, its cost, and what compiles and keeps it."""


class CompilationNeeded(Exception):  # noqa: N818 - a demand, not a failure
    """So much is to be compiled first that whoever asked has to wait, and to ask again."""

    def __init__(self, work: Sequence[Work]) -> None:
        super().__init__("Policies have to be compiled first")
        self.work = work

    @property
    def key(self) -> tuple[Hashable, ...]:
        """The same for the same work."""
        return tuple(key for key, _cost, _compile in self.work)


@lru_cache(maxsize=64)
def cost(data: bytes) -> int:
    """About what it takes to compile the expressions in a resource, in bytes of plain ones.

    It is told by the bytes alone, whatever they are, and rather too high.
    """
    patterns = len(_REGULAR.findall(data))
    if patterns and _LARGE_AUTOMATON.search(data):
        return len(data) + AT_ONCE
    loops = len(_LOOP.findall(data))
    elements = sum(map(data.count, _SEPARATORS))
    return len(data) + _REGULAR_COST * patterns + _LOOP_COST * loops + _ELEMENT_COST * elements


def demand(work: Sequence[Work]) -> None:
    """Let whoever asked wait if it takes long.

    Raises:
        CompilationNeeded: it does.
    """
    if sum(cost for _key, cost, _compile in work) > AT_ONCE:
        raise CompilationNeeded(work)


class Compilations:
    """What a thread compiles, one resource after the other and each once."""

    __slots__ = ("_executor", "_running")

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Future[object]] = {}
        self._executor = ThreadPoolExecutor(1, "compilation")  # begins its thread with the work

    def close(self) -> None:
        """Begin nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def finish(self, needed: CompilationNeeded) -> None:
        """Return when it is compiled. Raises whatever made that impossible."""
        running = [self._begin(key, compile_entry) for key, _cost, compile_entry in needed.work]
        # Several may wait for it: it goes on when one of them is cancelled.
        await asyncio.wait(running)
        for done in running:
            done.result()

    def _begin(self, key: Hashable, compile_entry: Callable[[], object]) -> asyncio.Future[object]:
        running = self._running.get(key)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._executor, compile_entry)
            self._running[key] = running
            running.add_done_callback(lambda done: self._ended(key, done))
        return running

    def _ended(self, key: Hashable, done: asyncio.Future[object]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # whoever waited tells of it, if they still do
