"""Results of Rego modules that a decision still has to get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.policy.cel.errors import EvaluationError, UnknownDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.rego.module import RegoModule

    Resolver = Callable[["RegoNeeded"], None]
    """Gets a result, waiting for it, and hands it to `RegoNeeded.answer`."""

    Key = tuple[RegoModule, bytes]
    """A module and its input document in JSON."""


class _Undefined:
    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = _Undefined()
"""The result of a module whose decision no rule defines."""


class RegoError(EvaluationError):
    """A module came to no result."""


class RegoUnavailableError(RegoError):
    """Nobody could evaluate the module in time; another attempt may succeed."""


class RegoNeeded(UnknownDataError):  # noqa: N818 - a demand, not a failure
    """A condition needs the result of a module that is not at hand.

    Whoever asked gets it, hands it to `answer`, and evaluates again on the same frame, or on
    another one whose slot `REGO` holds `results`.
    """

    def __init__(self, module: RegoModule, document: bytes, results: dict[Key, Any]) -> None:
        super().__init__("the result of a Rego module is not known yet")
        self.module = module
        self.document = document
        """The input document, in JSON."""
        self.results = results

    @property
    def key(self) -> Key:
        """What the result is found by."""
        return self.module, self.document

    def answer(self, result: object) -> None:
        """Keep the result: a JSON value, `UNDEFINED`, or the `RegoError` of the evaluation."""
        self.results[self.key] = result


class RegoChecker(Protocol):
    """What is known of modules that somebody wants to store."""

    def problem(self, module: RegoModule) -> str | None:
        """Why the module cannot be used; empty if it can, None if nobody has tried yet."""
