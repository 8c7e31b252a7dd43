"""Results of Rego modules for thinking: waited for, and remembered as long as somebody thinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.octovigil.rego.rounds import MAX_ROUNDS
from octelium.policy.rego.module import resolve
from octelium.policy.rego.needed import RegoError, RegoNeeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.rego.needed import Resolver

T = TypeVar("T")

_MAX_KEPT: Final = 256


class Modules:
    """Gets results by `resolver`, each once. Implements `Resolver` itself."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver or resolve
        self._known: dict[object, Any] = {}

    def __call__(self, needed: RegoNeeded) -> None:
        """Answer a demand."""
        key = needed.key, needed.now_ns
        if key in self._known:
            needed.answer(self._known[key])
            return
        self._resolver(needed)
        if len(self._known) >= _MAX_KEPT:
            self._known.clear()
        self._known[key] = needed.results.known[needed.key]

    def answered(self, evaluate: Callable[[], T]) -> T:
        """What an evaluation comes to, made again whenever a result that it asks for is there.

        Raises:
            RegoError: it asks for too many.
        """
        for _ in range(MAX_ROUNDS):
            try:
                return evaluate()
            except RegoNeeded as needed:
                self(needed)
        raise RegoError(f"it takes more than {MAX_ROUNDS} evaluations of Rego modules")
