"""Leaves out of an explanation what its reader may not read.

What is shown is picked, not what is hidden: a part of an explanation that nobody thought of here
stays away from readers who lack any right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.apiserver.insight.rights import SHOWN
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.schema.pb import meta_v1_pb2 as meta

NOT_SHOWN: Final = "not shown"
"""In place of a value or a text."""

_KINDS: Final = {
    "service": "Service",
    "namespace": "Namespace",
    "user": "User",
    "groups": "Group",
    "session": "Session",
    "device": "Device",
}
"""Whose data stands where below `ctx`."""
_ALL: Final = frozenset(SHOWN)
_OUTCOMES: Final = {
    "ALLOWED": "Allowed.",
    "UNAUTHENTICATED": "Refused: nobody is known to have sent it.",
    "BAD_REQUEST": "Refused: it can be read in two ways.",
    "ERROR": "Refused, because the decision fails.",
    "DEPENDS": "It depends on what is not known of the request.",
}
_REASONS: Final = {
    "SESSION_NOT_ACTIVE": "Session",
    "SESSION_CLIENT_TYPE_INVALID": "Session",
    "SESSION_LOCKED": "Session",
    "SESSION_EXPIRED": "Session",
    "ACCESS_TOKEN_EXPIRED": "Session",
    "AUTHENTICATOR_AUTHENTICATION_REQUIRED": "Session",
    "AUTHENTICATOR_REGISTRATION_REQUIRED": "Session",
    "SCOPE_UNAUTHORIZED": "Session",
    "DEVICE_NOT_ACTIVE": "Device",
    "DEVICE_LOCKED": "Device",
    "USER_DEACTIVATED": "User",
    "USER_LOCKED": "User",
    "POLICY_MATCH": "Policy",
    "NO_POLICY_MATCH": "Policy",
}
"""Whose state each reason tells."""


def no_resource(_ref: meta.ObjectReference) -> bool:
    """Nothing belongs to the Cluster alone."""
    return False


@dataclass(frozen=True, slots=True)
class View:
    """What one reader may see."""

    kinds: frozenset[str]
    """The kinds whose resources it may get."""
    belongs_to_cluster: Callable[[meta.ObjectReference], bool] = no_resource
    """Whether a resource is the Cluster's own, which no caller may get."""
    told_reason: str = ""
    """The reason that the reader knows already, from the log or from having been refused."""
    own: bool = False
    """Whether the request is the reader's own, so that it sees the outcome anyway."""

    def may_see(self, ref: meta.ObjectReference) -> bool:
        """Whether the resource may be shown."""
        return ref.kind in self.kinds and not self.belongs_to_cluster(ref)


def redacted(explanation: ext.Explanation, view: View) -> ext.Explanation:
    """The explanation as its reader may see it."""
    return _Redaction(explanation, view).result()


class _Redaction:
    def __init__(self, given: ext.Explanation, view: View) -> None:
        self._given = given
        self._view = view
        parties = (given.service, given.session, given.user, given.device)
        own = {ref.kind for ref in parties if ref.kind and view.belongs_to_cluster(ref)}
        self._unreadable = (_ALL - view.kinds) | own
        self._hidden = False
        self._unauthorized = bool(self._unreadable)
        """Whether anything is hidden."""
        self._places: dict[int, int] = {}
        """Where Policies that are shown stand among those, by where they stood."""

    def result(self) -> ext.Explanation:
        given = self._given
        shown = ext.Explanation(outcome=given.outcome, notes=given.notes, asked=given.asked)
        for name in ("service", "session", "user", "device", "at"):
            if given.HasField(name):
                getattr(shown, name).CopyFrom(getattr(given, name))
        self._add_policies(shown)
        shown.rules.extend(filter(None, map(self._rule, given.rules)))
        shown.steps.extend(self._step(step) for step in given.steps)
        self._tell(shown)
        if given.config:
            if self._unreadable:
                self._withhold()
            else:
                shown.config = given.config
        if given.HasField("change") and self._may_change(given.change):
            shown.change.CopyFrom(given.change)
        shown.hidden = given.hidden or self._hidden
        return shown

    def _withhold(self) -> None:
        """Something is left out that a right would show."""
        self._hidden = self._unauthorized = True

    def _tell(self, shown: ext.Explanation) -> None:
        """Reason, summary and error, as far as nothing in them is hidden."""
        given, view = self._given, self._view
        if not self._unauthorized:
            shown.reason, shown.summary, shown.error = given.reason, given.summary, given.error
            return
        self._withhold()
        known = given.reason == view.told_reason or view.own
        if known or _REASONS.get(given.reason) not in self._unreadable:
            shown.reason = given.reason
        shown.summary = _summary(given.outcome, shown.reason)

    def _may_change(self, change: ext.SufficientChange) -> bool:
        """A change tells what conditions want: only who sees all of them may see it."""
        if self._unauthorized:
            self._withhold()
            return False
        return all(not edit.kind or edit.kind in self._view.kinds for edit in change.edits)

    def _step(self, step: ext.ExplainedStep) -> ext.ExplainedStep:
        if not self._unreadable:
            return step
        if step.detail:
            self._withhold()
        shown = ext.ExplainedStep(name=step.name)
        if self._view.own or not self._unreadable:
            shown.verdict = step.verdict
        return shown

    def _add_policies(self, shown: ext.Explanation) -> None:
        """What may be seen, and one entry behind that for all the rest.

        How many others there are, and which of them decides, would tell what is attached to whom.
        """
        readable = [
            index
            for index, policy in enumerate(self._given.policies)
            if self._may_see_policy(policy)
        ]
        self._places = {index: place for place, index in enumerate(readable)}
        shown.policies.extend(
            self._policy(self._given.policies[index], place)
            for index, place in self._places.items()
        )
        if len(readable) < len(self._given.policies):
            self._withhold()
            shown.policies.add(hidden=True)

    def _policy(self, policy: ext.ExplainedPolicy, place: int) -> ext.ExplainedPolicy:
        shown = ext.ExplainedPolicy()
        shown.CopyFrom(policy)
        if policy.owner.kind and not self._view.may_see(policy.owner):
            # Where a Policy is attached is told by what it is attached to.
            self._withhold()
            for name in ("owner", "place", "why_not", "inherited_from"):
                shown.ClearField(name)
            shown.place = f"Policy {policy.policy.name}"
        del shown.enforcement[:]
        shown.enforcement.extend(self._readable_rule(rule, place) for rule in policy.enforcement)
        return shown

    def _may_see_policy(self, policy: ext.ExplainedPolicy) -> bool:
        if policy.hidden:
            return False
        ref = policy.policy if policy.HasField("policy") else policy.owner
        return self._view.may_see(ref)

    def _rule(self, rule: ext.ExplainedRule) -> ext.ExplainedRule | None:
        if rule.policy in self._places:
            return self._readable_rule(rule, self._places[rule.policy])
        self._withhold()
        if not rule.decided:
            return None
        # That there is such a rule follows from the outcome.
        return ext.ExplainedRule(
            policy=len(self._places),
            hidden=True,
            decided=True,
            effect=rule.effect,
            verdict=rule.verdict,
        )

    def _readable_rule(self, rule: ext.ExplainedRule, place: int) -> ext.ExplainedRule:
        """A rule of a Policy that the reader may read; values come of other resources too."""
        shown = ext.ExplainedRule()
        shown.CopyFrom(rule)
        shown.policy = place
        for part in shown.parts:
            if (part.value or part.error) and not self._may_see_value(part.reads):
                self._hidden = True
                part.ClearField("value")
                part.error = NOT_SHOWN
            part.ClearField("reads")
        if shown.error and self._unreadable:
            self._withhold()
            shown.error = NOT_SHOWN
        return shown

    def _may_see_value(self, reads: Iterable[str]) -> bool:
        """Whether all may be seen that a value may come of."""
        if not self._unreadable:
            return True
        return all(
            name == "request" or _KINDS.get(name, "") in self._view.kinds - self._unreadable
            for name in reads
        )


def _summary(outcome: str, reason: str) -> str:
    if outcome != "DENIED":
        return _OUTCOMES.get(outcome, "Refused.")
    match reason:
        case "" | "TYPE_UNKNOWN_REASON":
            return "Refused."
        case "NO_POLICY_MATCH":
            return "Refused: no policy allows it."
        case "POLICY_MATCH":
            return "Refused: a policy denies it."
    return f"Refused: {reason.replace('_', ' ').lower()}."
