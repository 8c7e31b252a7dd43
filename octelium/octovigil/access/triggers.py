"""PolicyTriggers when the request is not known: where the Policies that they attach apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.access.conditions import (
    ALWAYS,
    NEVER,
    Check,
    Constant,
    Expression,
    Judgement,
    Several,
    open_condition,
)
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.unparse import quoted
from octelium.policy.cel.values import ABSENT

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from octelium.octovigil.access.conditions import Known, OpenCondition
    from octelium.policy.cel.reads import Path
    from octelium.replica.replica import Trigger
    from octelium.schema.pb import core_v1_pb2 as core

_REFERENCES: Final = {
    "user_ref": "ctx.user.metadata.uid == {}",
    "service_ref": "ctx.service.metadata.uid == {}",
    "namespace_ref": "ctx.namespace.metadata.uid == {}",
    "device_ref": "ctx.device.metadata.uid == {}",
    "group_ref": "ctx.groups.exists(g, g.metadata.uid == {})",
}


class _IsSession:
    """The Session is this one; a new Session is none that there is."""

    __slots__ = ("_uid",)
    reads: frozenset[Path] = frozenset({("session", "metadata", "uid")})

    def __init__(self, uid: str) -> None:
        self._uid = uid

    def judge(self, known: Known) -> Judgement:
        """Whether it is."""
        session: Any = known.ctx.get("session") or {}
        if isinstance(session, OpenMap):
            return NEVER
        return ALWAYS if session.get("metadata", {}).get("uid") == self._uid else NEVER


def pre_condition(trigger: Trigger, now: float) -> Check | None:
    """When a trigger applies at `now` (Unix seconds); None if it always does."""
    condition = trigger.pre_condition
    if condition.WhichOneof("type") == "match_any" and condition.match_any:
        return None
    place = f"the pre-condition of {trigger.source.kind} {trigger.source.name}"
    return Check(_compile(condition, place, now))


def _compile(
    condition: core.PolicyTriggerStatusPreCondition, place: str, now: float
) -> OpenCondition:
    form = condition.WhichOneof("type")
    match form:
        case "match_any":
            return _constant(value=condition.match_any)
        case "condition":
            return open_condition(condition.condition, place)
        case "not_before":
            return _constant(value=now >= _seconds(condition.not_before))
        case "not_after":
            return _constant(value=now < _seconds(condition.not_after))
        case "any" | "all":
            parts = [_compile(part, place, now) for part in getattr(condition, form).of]
            return Several(form, parts) if parts else Constant(NEVER)
        case "session_ref":
            return _IsSession(condition.session_ref.uid)
        case None:
            return Constant(NEVER)
    text = _REFERENCES[form].format(quoted(getattr(condition, form).uid))
    return Expression(text, ABSENT, negated=False)


def _constant(*, value: bool) -> OpenCondition:
    return Constant(ALWAYS if value else NEVER)


def _seconds(instant: Timestamp) -> float:
    return instant.seconds + instant.nanos / 1e9
