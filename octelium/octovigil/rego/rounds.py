"""Getting the results that a decision asks for, one after the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from octelium.policy.rego.needed import RegoError, RegoNeeded, RegoUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.rego.needed import RegoResults

_T = TypeVar("_T")

BUDGET: Final = 4.0
"""Seconds for all results of one decision, with what others take before it."""
MAX_ROUNDS: Final = 64
"""Results of one decision."""


class RegoEvaluator(Protocol):
    """Evaluates modules elsewhere."""

    async def evaluate(self, needed: RegoNeeded, deadline: float) -> object:
        """The result that is asked for: a JSON value or `UNDEFINED`.

        `deadline` is on the clock `time.monotonic`.

        Raises:
            RegoUnavailableError: there is none in time.
            RegoError: the module comes to none.
        """


async def obtain(
    evaluator: RegoEvaluator | None, needed: RegoNeeded, attempt: Callable[[RegoResults], _T]
) -> _T:
    """What `attempt` comes to, called again whenever a result that it asks for is there.

    A failed evaluation is a result, too: it is an error where it is needed.

    Raises:
        RegoError: it asks for too many.
    """
    deadline = time.monotonic() + BUDGET
    for _ in range(MAX_ROUNDS):
        try:
            if evaluator is None:
                raise RegoUnavailableError("nothing here evaluates Rego modules that take long")
            result = await evaluator.evaluate(needed, deadline)
        except RegoError as error:
            needed.answer(error)
        else:
            needed.answer(result)
        try:
            return attempt(needed.results)
        except RegoNeeded as following:
            needed = following
    raise RegoError(f"the decision takes more than {MAX_ROUNDS} evaluations of Rego modules")
