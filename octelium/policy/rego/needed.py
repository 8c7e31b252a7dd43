"""Results of Rego modules that a decision still has to get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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


class RegoBudgetError(RegoError):
    """An evaluation takes more than it may."""


class RegoUnavailableError(RegoError):
    """Nobody could evaluate the module in time; another attempt may succeed."""


class RegoResults:
    """What one decision knows of its modules, in the slot `REGO` of its frame."""

    __slots__ = ("asker", "known", "left")

    def __init__(self, left: int, asker: str = "") -> None:
        self.known: dict[Key, Any] = {}
        """Results that somebody else came to: JSON values, `UNDEFINED` or a `RegoError`."""
        self.left = left
        """Steps that may still be made at once."""
        self.asker = asker
        """Who the decision is about: a User, or an address; empty if that is not known."""

    @property
    def transient(self) -> bool:
        """Whether another attempt may come to something else."""
        return any(isinstance(result, RegoUnavailableError) for result in self.known.values())


class RegoNeeded(UnknownDataError):  # noqa: N818 - a demand, not a failure
    """A condition needs a result that takes too long to be made at once.

    Whoever asked gets it, hands it to `answer`, and evaluates again on the same frame, or on
    another one whose slot `REGO` holds `results`.
    """

    def __init__(
        self,
        module: RegoModule,
        document: bytes,
        results: RegoResults,
        now_ns: int | None = None,
    ) -> None:
        super().__init__("the result of a Rego module is not known yet")
        self.module = module
        self.document = document
        """The input document, in JSON."""
        self.results = results
        self.now_ns = now_ns
        """Of the request, in nanoseconds since 1970; None for the time of the evaluation."""

    @property
    def key(self) -> Key:
        """What the result is found by."""
        return self.module, self.document

    def answer(self, result: object) -> None:
        """Keep the result: a JSON value, `UNDEFINED`, or the `RegoError` of the evaluation."""
        self.results.known[self.key] = result
