"""Which Policies are attached to a request's parties, in the order in which they are collected.

https://octelium.com/docs/octelium/latest/management/core/policy: at each place the named ones come
before the inline ones, and a Policy brings its ancestors along. All that is attached is listed,
also what does not apply, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octelium.octovigil.explain.evaluation import (
    ERROR,
    FALSE,
    PENDING,
    TRUE,
    UNKNOWN,
    Evaluator,
    Result,
)
from octelium.octovigil.triggers import CompiledTrigger
from octelium.policy.cel.errors import EvaluationError, UnknownDataError
from octelium.policy.cel.values import normalized
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.octovigil.explain.evaluation import Verdict
    from octelium.octovigil.triggers import Parties
    from octelium.policy.cel.parts import Part
    from octelium.replica.replica import Entry, PolicyEntry, Replica, Trigger

_ALLOW = core.PolicySpecRuleEffect__.ALLOW
_ENFORCE = core.PolicySpecEnforcementRuleEffect__.ENFORCE
_IGNORE = core.PolicySpecEnforcementRuleEffect__.IGNORE


@dataclass(eq=False, slots=True)
class Attached:
    """A Policy at one place: itself, or as the ancestor of one that is attached there.

    `entry` is None for an inline policy, which has its `index` among those of its owner.
    """

    spec: core.PolicySpec
    place: str
    owner: Entry[Any]
    entry: PolicyEntry | None = None
    index: int = 0
    inline_name: str = ""
    inherited_from: str = ""
    trigger: Trigger | None = None
    applies: bool = False
    why_not: str = ""
    enforcement: list[EnforcementTried] = field(default_factory=list)

    @property
    def attrs(self) -> dict[str, Any]:
        """What expressions see as `attrs`."""
        return attrs_of(self.spec)


def attrs_of(spec: core.PolicySpec) -> dict[str, Any]:
    """What the expressions of a Policy see as `attrs`."""
    made = normalized(to_json(spec.attrs)) if spec.HasField("attrs") else {}
    assert isinstance(made, dict)
    return made


@dataclass(eq=False, slots=True)
class EnforcementTried:
    """An enforcement rule and what came of it."""

    index: int
    enforces: bool
    condition: core.Condition
    result: Result = PENDING
    decided: bool = False
    parts: Sequence[Part] = ()


@dataclass(eq=False, slots=True)
class RuleTried:
    """A rule of a Policy that applies, and what came of it."""

    policy: Attached
    index: int
    rule: core.PolicySpecRule
    result: Result = PENDING
    decided: bool = False
    parts: Sequence[Part] = ()

    @property
    def allows(self) -> bool:
        """Whether the rule lets in, rather than keeps out."""
        return self.rule.effect == _ALLOW

    @property
    def order(self) -> tuple[int, bool]:
        """Rules are tried by priority, at the same priority those that deny first."""
        return self.rule.priority, self.allows


class MissingPolicyError(Exception):
    """A Policy that is attached does not exist: it might refuse."""

    def __init__(self, name: str, owner: Entry[Any]) -> None:
        super().__init__(f"Policy {name}, attached to {owner.kind} {owner.name}, does not exist")
        self.name = name
        self.owner = owner


class CollectingError(Exception):
    """A trigger or an enforcement rule failed; `policy` is the one whose part it is."""

    def __init__(self, problem: str, policy: Attached, *, by_trigger: bool) -> None:
        super().__init__(problem)
        self.policy = policy
        self.by_trigger = by_trigger


def attached(replica: Replica, parties: Parties) -> list[Attached]:
    """All that is attached, in the order of collection.

    Raises:
        MissingPolicyError: a Policy does not exist.
    """
    found: list[Attached] = []
    owners = (
        parties.service,
        parties.namespace,
        parties.user,
        *parties.groups,
        parties.session,
        parties.device,
    )
    for owner in owners:
        if owner is not None:
            authorization = owner.message.spec.authorization
            found += _at(
                replica, owner, authorization.policies, authorization.inline_policies, None
            )
    for trigger in replica.triggers:
        found += _at(replica, trigger.source, trigger.policies, trigger.inline_policies, trigger)
    return found


def _at(
    replica: Replica,
    owner: Entry[Any],
    names: Sequence[str],
    inline: Sequence[core.InlinePolicy],
    trigger: Trigger | None,
) -> Iterator[Attached]:
    for name in names:
        entry = replica.policies_by_name.get(name)
        for ancestor in (name,) if entry is None else entry.lineage:
            entry = replica.policies_by_name.get(ancestor)
            if entry is None:
                raise MissingPolicyError(ancestor, owner)
            yield Attached(
                entry.message.spec,
                f"Policy {ancestor}",
                owner,
                entry=entry,
                inherited_from=name if ancestor != name else "",
                trigger=trigger,
            )
    for index, policy in enumerate(inline):
        yield Attached(
            policy.spec,
            f"inline policy {policy.name or index + 1} of {owner.kind} {owner.name}",
            owner,
            index=index,
            inline_name=policy.name,
            trigger=trigger,
        )


class Collecting:
    """Which of the attached Policies apply."""

    def __init__(self, evaluator: Evaluator, parties: Parties, now: float) -> None:
        self._evaluator = evaluator
        self._parties = parties
        self._now = now
        self._triggers: dict[int, Verdict] = {}
        self._used: dict[str, Attached] = {}
        self.depends = False
        """Whether some Policy applies or not by what is not known."""

    def settle(self, policies: Sequence[Attached]) -> None:
        """Find out for each of `policies` whether it applies.

        Raises:
            CollectingError: an enforcement rule or a trigger failed.
        """
        for policy in policies:
            self._settle(policy)

    def _settle(self, policy: Attached) -> None:
        if policy.trigger is not None:
            holds = self._holds(policy, policy.trigger)
            source = policy.trigger.source
            what = f"the pre-condition of {source.kind} {source.name}"
            if holds == UNKNOWN:
                self.depends = True
                policy.why_not = f"{what} depends on what is not known"
                return
            if holds == FALSE:
                policy.why_not = f"{what} does not hold"
                return
        if policy.entry is not None:
            first = self._used.get(policy.entry.uid)
            if first is not None:
                where = f"{first.owner.kind} {first.owner.name}"
                policy.why_not = f"counted already, at {where}"
                return
        if policy.spec.is_disabled:
            policy.why_not = "it is disabled"
            return
        if policy.entry is not None:
            self._used[policy.entry.uid] = policy
        self._enforce(policy)

    def _holds(self, policy: Attached, trigger: Trigger) -> Verdict:
        known = self._triggers.get(id(trigger))
        if known is not None:
            return known
        compiled = CompiledTrigger(trigger)
        if any(self._evaluator.touches(condition.reads) for condition in compiled.conditions):
            verdict = UNKNOWN
        else:
            try:
                frame = self._evaluator.ready(None, frozenset())
                holds = self._evaluator.modules.answered(
                    lambda: compiled.holds(frame, self._parties, self._now)
                )
                verdict = TRUE if holds else FALSE
            except UnknownDataError:
                verdict = UNKNOWN
            except EvaluationError as error:
                name = f"{trigger.source.kind} {trigger.source.name}"
                problem = f"pre-condition of {name}: {error}"
                raise CollectingError(problem, policy, by_trigger=True) from None
        self._triggers[id(trigger)] = verdict
        return verdict

    def _enforce(self, policy: Attached) -> None:
        """Those that enforce are tried first; the first that holds decides."""
        policy.enforcement = [
            EnforcementTried(index, rule.effect == _ENFORCE, rule.condition)
            for effect in (_ENFORCE, _IGNORE)
            for index, rule in enumerate(policy.spec.enforcement_rules)
            if rule.effect == effect
        ]
        attrs = policy.attrs
        for tried in policy.enforcement:
            tried.result = self._evaluator.result(tried.condition, attrs)
            tried.parts = self._evaluator.parts(tried.condition, attrs)
            verdict = tried.result.verdict
            if verdict == ERROR:
                where = f"{policy.place}, enforcement rule {tried.index + 1}"
                problem = f"{where}: {tried.result.error}"
                raise CollectingError(problem, policy, by_trigger=False)
            if verdict == UNKNOWN:
                self.depends = True
                policy.why_not = f"enforcement rule {tried.index + 1} depends on what is not known"
                return
            if verdict == TRUE:
                tried.decided = True
                policy.applies = tried.enforces
                if not tried.enforces:
                    policy.why_not = f"ignored by enforcement rule {tried.index + 1}"
                return
        policy.applies = True


def rules_in_order(policies: Sequence[Attached]) -> list[RuleTried]:
    """The rules of the Policies that apply, in the order in which they are tried."""
    rules = [
        RuleTried(policy, index, rule)
        for policy in policies
        if policy.applies
        for index, rule in enumerate(policy.spec.rules)
    ]
    rules.sort(key=lambda tried: tried.order)
    return rules
