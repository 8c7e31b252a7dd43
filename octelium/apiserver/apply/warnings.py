"""What an apply warns of: what is likely wrong where it will stand, or does nothing there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from octelium.apiserver.apply.refusals import Refusals
from octelium.apiserver.core.warnings import StoredAttachments, findings_of, warning
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.apiserver.apply.steps import Step
    from octelium.apiserver.core.deployment import ControllerHealth
    from octelium.apiserver.rpc import Call
    from octelium.policy.lint import Finding
    from octelium.store.reading import Reader

MOST: Final = 1000
"""Warnings in one reply; the last says how many more there are."""
_BREATH: Final = 50
"""Resources after which other calls get a turn."""


class Warnings:
    """What is likely wrong with the resources of one apply, in their order."""

    def __init__(self, found: Sequence[tuple[Step, Finding]]) -> None:
        self._found = found

    def sent(self) -> Iterator[ext.ApplyError]:
        """The form in which they are sent."""
        for step, finding in self._found[:MOST]:
            yield warning(step.rules, step.name, finding, step.index)
        more = len(self._found) - MOST
        if more > 0:
            yield ext.ApplyError(problem=f"there are {more} more warnings")

    def refuse(self, call: Call) -> None:
        """Refuse the request because of them, if there are any. Raises ApiError."""
        refusals = Refusals()
        for step, finding in self._found:
            refusals.add(step, Invalid(finding.path, finding.problem, finding.remedy))
        refusals.settle(call)


async def find_warnings(
    reader: Reader,
    steps: Sequence[Step],
    *,
    named: bool,
    visible: bool,
    controller: ControllerHealth,
) -> Warnings:
    """Look through the resources of an apply as they stand at its end.

    With `named`, Services are looked at together with the Policies that they name. With `visible`,
    Policies are looked at where they are attached. `controller`: see `findings_of`.
    """
    reviewed = {step.name for step in steps if step.rules.name == "Policy"}
    attachments = StoredAttachments(reader, reviewed=reviewed, named=named, visible=visible)
    found: list[tuple[Step, Finding]] = []
    for count, step in enumerate(steps, 1):
        message: Any = step.new or step.old
        findings = findings_of(message, attachments, controller)
        found += ((step, finding) for finding in findings)
        if count % _BREATH == 0:
            await asyncio.sleep(0)
    return Warnings(found)


def has_policies(step: Step) -> bool:
    """Whether a step is about a Policy, or a Service that names some."""
    return step.rules.name == "Policy" or names_policies(step)


def names_policies(step: Step) -> bool:
    """Whether a step is about a Service that names Policies."""
    return step.rules.name == "Service" and bool(step.given.spec.authorization.policies)
