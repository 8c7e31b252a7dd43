"""PolicyTriggers: when the Policies that they attach apply."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from octelium.octovigil.policies import broken
from octelium.policy.cel.errors import CompileError
from octelium.policy.cel.values import ABSENT, ATTRS, Frame
from octelium.policy.condition import CompiledCondition, compile_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from octelium.replica.replica import (
        DeviceEntry,
        GroupEntry,
        NamespaceEntry,
        ServiceEntry,
        SessionEntry,
        Trigger,
        UserEntry,
    )
    from octelium.schema.pb import core_v1_pb2 as core


class Parties(NamedTuple):
    """The resources that take part in a request; also the JSON objects of its `ctx`."""

    service: ServiceEntry
    namespace: NamespaceEntry | None = None
    session: SessionEntry | None = None
    user: UserEntry | None = None
    device: DeviceEntry | None = None
    groups: Sequence[GroupEntry] = ()


class CompiledTrigger:
    """A trigger with its pre-condition compiled.

    `instants` are the points in time (Unix seconds) at which the pre-condition may change;
    `conditions` are those of it that look at `ctx`.
    """

    __slots__ = ("conditions", "holds", "instants", "trigger")

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self.instants: list[float] = []
        self.conditions: list[CompiledCondition] = []
        self.holds: Callable[[Frame, Parties, float], bool] = self._compile(trigger.pre_condition)
        """Whether it holds on a frame, for these parties, at this time. Raises EvaluationError."""

    def next_instant(self, now: float) -> float:
        """When the pre-condition may change next; `inf` if never."""
        return min((instant for instant in self.instants if instant > now), default=math.inf)

    def _compile(
        self, condition: core.PolicyTriggerStatusPreCondition
    ) -> Callable[[Frame, Parties, float], bool]:
        form = condition.WhichOneof("type")
        match form:
            case "match_any":
                value = condition.match_any
                return lambda _frame, _parties, _now: value
            case "condition":
                return self._of_condition(condition.condition)
            case "not_before":
                start = _seconds(condition.not_before)
                self.instants.append(start)
                return lambda _frame, _parties, now: now >= start
            case "not_after":
                end = _seconds(condition.not_after)
                self.instants.append(end)
                return lambda _frame, _parties, now: now < end
            case "any" | "all":
                parts = [self._compile(part) for part in getattr(condition, form).of]
                if not parts:
                    return _never
                combine = any if form == "any" else all
                return lambda frame, parties, now: combine(
                    part(frame, parties, now) for part in parts
                )
            case "group_ref":
                group = condition.group_ref.uid
                return lambda _frame, parties, _now: any(
                    entry.uid == group for entry in parties.groups
                )
            case "session_ref" | "user_ref" | "service_ref" | "namespace_ref" | "device_ref":
                return _is_party(form.removesuffix("_ref"), getattr(condition, form).uid)
        return _never

    def _of_condition(self, condition: core.Condition) -> Callable[[Frame, Parties, float], bool]:
        try:
            compiled = compile_condition(condition)
        except CompileError as error:
            compiled = broken(str(error))
        self.conditions.append(compiled)

        def holds(frame: Frame, _parties: Parties, _now: float) -> bool:
            frame[ATTRS] = ABSENT
            return compiled.test(frame)

        return holds


def _never(_frame: Frame, _parties: Parties, _now: float) -> bool:
    return False


def _is_party(name: str, uid: str) -> Callable[[Frame, Parties, float], bool]:
    def holds(_frame: Frame, parties: Parties, _now: float) -> bool:
        entry: Any = getattr(parties, name)
        return entry is not None and entry.uid == uid

    return holds


def _seconds(instant: Timestamp) -> float:
    return instant.seconds + instant.nanos / 1e9
