"""Calls that may block for longer than a person waits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, in a thread that nobody waits for any longer than that.

    The system's resolver, for one, has no deadline of its own (getaddrinfo(3)).

    Raises:
        TimeoutError: it takes longer; it may go on until the process ends.
        Exception: what it raises itself.
    """
    results: list[Any] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001  (raised again, by whoever waits)
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    result: T = results[0]
    return result
