"""Policies in the form in which they are applied: compiled once per version of their resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.compilation import cost
from octelium.octovigil.references import reference
from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.reads import Path
from octelium.policy.cel.values import Frame, normalized
from octelium.policy.condition import CompiledCondition, compile_condition
from octelium.policy.decision import Reason, ReasonType
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.octovigil.compilation import Work
    from octelium.replica.replica import Entry, PolicyEntry

_ALLOW: Final = core.PolicySpecRuleEffect__.ALLOW
_ENFORCE: Final = core.PolicySpecEnforcementRuleEffect__.ENFORCE
_IGNORE: Final = core.PolicySpecEnforcementRuleEffect__.IGNORE


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule of a Policy."""

    policy: CompiledPolicy
    name: str
    allows: bool
    priority: int
    condition: CompiledCondition
    place: str
    """For operators: Policy and position."""
    reason: Reason = field(init=False)
    """Of the decisions that it makes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", Reason(ReasonType.POLICY_MATCH, self.details))

    @property
    def order(self) -> tuple[int, bool]:
        """Rules are tried by priority, at the same priority those that deny first."""
        return self.priority, self.allows

    @property
    def details(self) -> dict[str, Any]:
        """The JSON form of `AccessLog.Entry.Common.Reason.Details` of a match."""
        match: dict[str, Any] = dict(self.policy.source)
        if self.name:
            match["ruleName"] = self.name
        if self.priority:
            match["priority"] = self.priority
        return {"policyMatch": match}


@dataclass(frozen=True, slots=True)
class EnforcementRule:
    """One enforcement rule of a Policy."""

    enforces: bool
    condition: CompiledCondition
    place: str


class CompiledPolicy:
    """A Policy, or an inline policy.

    `source` names it as the access log does: `{"policy": …}` or `{"inlinePolicy": …}`. `place` is
    the same for operators, `attrs` what its expressions see as `attrs`.
    """

    __slots__ = (
        "attrs",
        "conditions",
        "enforcement",
        "is_disabled",
        "place",
        "reads",
        "rules",
        "source",
    )

    def __init__(self, spec: core.PolicySpec, source: dict[str, Any], place: str) -> None:
        self.source = source
        self.place = place
        self.is_disabled = spec.is_disabled
        attrs = normalized(to_json(spec.attrs)) if spec.HasField("attrs") else {}
        assert isinstance(attrs, dict)
        self.attrs: dict[str, Any] = attrs
        rules = [
            self._rule(rule, f"{place}, rule {number}") for number, rule in enumerate(spec.rules, 1)
        ]
        self.rules: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.order))
        enforcement = [
            EnforcementRule(rule.effect == _ENFORCE, _compiled(rule.condition), where)
            for number, rule in enumerate(spec.enforcement_rules, 1)
            if rule.effect in (_ENFORCE, _IGNORE)
            and (where := f"{place}, enforcement rule {number}")
        ]
        self.enforcement: tuple[EnforcementRule, ...] = tuple(
            sorted(enforcement, key=lambda rule: not rule.enforces)
        )
        """All that enforce stand before those that ignore."""
        self.conditions: tuple[CompiledCondition, ...] = (
            *(rule.condition for rule in self.enforcement),
            *(rule.condition for rule in self.rules),
        )
        self.reads: frozenset[Path] = frozenset[Path]().union(
            *(condition.reads for condition in self.conditions)
        )
        """Paths below `ctx` that any of its conditions reads."""

    def _rule(self, rule: core.PolicySpecRule, place: str) -> Rule:
        where = f"{place} ({rule.name})" if rule.name else place
        condition = _compiled(rule.condition)
        return Rule(self, rule.name, rule.effect == _ALLOW, rule.priority, condition, where)


def _compiled(condition: core.Condition) -> CompiledCondition:
    """The compiled form; what cannot be compiled is an error when it is reached."""
    try:
        return compile_condition(condition)
    except CompileError as error:
        return broken(str(error))


def broken(problem: str) -> CompiledCondition:
    """A condition that fails whenever it is evaluated."""

    def fail(_frame: Frame) -> bool:
        raise EvaluationError(problem)

    return CompiledCondition(fail, frozenset(), volatile=False)


class Policies:
    """Compiled Policies by resource; those of a resource that changed are made anew.

    They may be made in any thread: what is kept is told apart by the version it was made of.
    """

    __slots__ = ("_inline", "_named")

    def __init__(self) -> None:
        self._named: dict[str, tuple[PolicyEntry, CompiledPolicy]] = {}
        self._inline: dict[tuple[str, str], tuple[Entry[Any], tuple[CompiledPolicy, ...]]] = {}

    def named(self, entry: PolicyEntry) -> CompiledPolicy:
        """The compiled form of a Policy."""
        known = self._named.get(entry.uid)
        if known is not None and known[0] is entry:
            return known[1]
        source = {"policy": {"policyRef": reference(entry)}}
        compiled = CompiledPolicy(entry.message.spec, source, f"Policy {entry.name}")
        self._named[entry.uid] = entry, compiled
        return compiled

    def inline(
        self, owner: Entry[Any], policies: Sequence[core.InlinePolicy]
    ) -> tuple[CompiledPolicy, ...]:
        """The compiled forms of the inline policies of a resource, in their order."""
        if not policies:
            return ()
        known = self._inline.get((owner.kind, owner.uid))
        if known is not None and known[0] is owner:
            return known[1]
        compiled = tuple(_inline(owner, policy, index) for index, policy in enumerate(policies))
        self._inline[owner.kind, owner.uid] = owner, compiled
        return compiled

    def named_work(self, entry: PolicyEntry) -> Iterator[Work]:
        """What there is to compile for `named`."""
        known = self._named.get(entry.uid)
        if known is None or known[0] is not entry:
            yield ("Policy", entry.version), cost(entry.data), partial(self.named, entry)

    def inline_work(
        self, owner: Entry[Any], policies: Sequence[core.InlinePolicy]
    ) -> Iterator[Work]:
        """What there is to compile for `inline`."""
        known = self._inline.get((owner.kind, owner.uid))
        if policies and (known is None or known[0] is not owner):
            yield (
                ("inline", owner.version),
                cost(owner.data),
                partial(self.inline, owner, policies),
            )

    def forget(self, kind: str, uid: str) -> None:
        """Drop what was made of a resource that changed or went."""
        self._inline.pop((kind, uid), None)
        if kind == "Policy":
            self._named.pop(uid, None)


def _inline(owner: Entry[Any], policy: core.InlinePolicy, index: int) -> CompiledPolicy:
    match: dict[str, Any] = {"resourceRef": reference(owner)}
    if policy.name:
        match["name"] = policy.name
    name = policy.name or str(index + 1)
    place = f"inline policy {name} of {owner.kind} {owner.name}"
    return CompiledPolicy(policy.spec, {"inlinePolicy": match}, place)
