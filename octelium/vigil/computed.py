"""Values that a configuration computes for each request: header fields, the upstream's host.

An expression that fails, or that results in no text, changes nothing: the field is not added, the
host stays. It is no way around a decision, which was made before. The operator is told once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from octelium.policy.cel.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOG = logging.getLogger(__name__)


class Computed:
    """The expression at a `place` of a configuration.

    `evaluate` makes a JSON value of `ctx`, or raises EvaluationError.
    """

    __slots__ = ("_evaluate", "_told", "place")

    def __init__(self, place: str, evaluate: Callable[[Mapping[str, Any]], object]) -> None:
        self.place = place
        self._evaluate = evaluate
        self._told = False

    def text(self, context: Mapping[str, Any]) -> str | None:
        """The result if it is a text; None if there is none to use."""
        try:
            result = self._evaluate(context)
        except EvaluationError as error:
            self.useless(str(error))
            return None
        if type(result) is str:
            return result
        self.useless(f"the result is no string but a {type(result).__name__}")
        return None

    def useless(self, problem: str) -> None:
        """Say, once, that a result is not used. Clients may cause it as often as they like."""
        if not self._told:
            self._told = True
            _LOG.warning("the expression of %s is not applied: %s", self.place, problem)
