"""Why an apply is refused: every resource that stands in its way, and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.core.warnings import ERRORS_TRAILER, packed
from octelium.apiserver.rpc import ApiError, status_of
from octelium.schema.errors import Invalid
from octelium.schema.names import DEFAULT_NAMESPACE
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.validation.rules import absent
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.apiserver.apply.steps import Step
    from octelium.apiserver.rpc import Call

_MOST_LINES = 20


class Refusals:
    """The refusals of an apply. It is true if there are any."""

    def __init__(self) -> None:
        self._found: list[tuple[Step, Exception]] = []
        self._absent: set[str] = set()
        """What is said of references to refused resources."""

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, step: Step, error: Exception) -> None:
        """Remember why a resource is refused, unless it is that another refused one is missing."""
        is_known = isinstance(error, Invalid) and error.problem in self._absent
        self._absent.update(absent(step.rules.name, name) for name in _spellings(step))
        if self._found and self._found[-1][0] is step:
            return  # it lacks one more right
        if not is_known:
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


def _spellings(step: Step) -> set[str]:
    """How others may refer to a resource."""
    if step.rules.name == "Service":
        return {step.name, step.name.removesuffix(f".{DEFAULT_NAMESPACE}")}
    return {step.name}


def _item(step: Step, error: Exception) -> ext.ApplyError:
    item = ext.ApplyError(index=step.index, kind=step.rules.name, name=step.name)
    if isinstance(error, Invalid):
        item.path, item.problem, item.remedy = error.path, error.problem, error.remedy
    else:
        item.problem = status_of(error)[1]
    return item
