"""Why an apply is refused: every resource that stands in its way, and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.core.warnings import ERRORS_TRAILER, packed
from octelium.apiserver.rpc import ApiError, status_of
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.apiserver.apply.steps import Step
    from octelium.apiserver.rpc import Call

_MOST_LINES = 20


class Refusals:
    """The refusals of one stage of an apply."""

    def __init__(self) -> None:
        self._found: list[tuple[Step, Exception]] = []

    def add(self, step: Step, error: Exception) -> None:
        """Remember why a resource is refused."""
        self._found.append((step, error))

    def attempt(self, action: Callable[..., None], step: Step, *arguments: object) -> None:
        """Call `action(step, *arguments)` and remember a refusal; other errors pass through."""
        try:
            action(step, *arguments)
        except (Invalid, StoreError) as error:
            self.add(step, error)

    def settle(self, call: Call) -> None:
        """Refuse the request if any resource was refused.

        Raises:
            ApiError: With the status of the first refusal and a line for each; the trailer of
                the reply has them for programs.
        """
        if not self._found:
            return
        lines = [f"{step.label}: {status_of(error)[1]}" for step, error in self._found]
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES:] = [f"and {len(lines) - _MOST_LINES} more"]
        call.trailers.append((ERRORS_TRAILER, packed(_item(*found) for found in self._found)))
        raise ApiError(status_of(self._found[0][1])[0], "\n".join(lines))


def _item(step: Step, error: Exception) -> ext.ApplyError:
    item = ext.ApplyError(index=step.index, kind=step.rules.name, name=step.name)
    if isinstance(error, Invalid):
        item.path, item.problem, item.remedy = error.path, error.problem, error.remedy
    else:
        item.problem = status_of(error)[1]
    return item
