"""Lists of Policies, as they are attached somewhere, with their rules in the order of trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.octovigil.access.conditions import Check, Enforcement, open_condition
from octelium.policy.cel.values import normalized
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence


_BOUND: Final = 5
"""More than any priority that a stored rule has."""
_SLOTS: Final = 4 * _BOUND + 2
_ALLOW: Final = core.PolicySpecRuleEffect__.ALLOW
_ENFORCE: Final = core.PolicySpecEnforcementRuleEffect__.ENFORCE
_IGNORE: Final = core.PolicySpecEnforcementRuleEffect__.IGNORE


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule of a Policy. `place` is for people: `Policy ops, rule 1 (admins)`."""

    place: str
    """Rules are counted from 1 there."""
    allows: bool
    priority: int
    check: Check

    @property
    def slot(self) -> int:
        """Rules of lower slots are tried first: by priority, then those that deny."""
        bounded = min(max(self.priority, -_BOUND), _BOUND)
        return 2 * (bounded + _BOUND) + self.allows


class AccessPolicy:
    """A Policy, or an inline policy; None for `enforcement` if it always applies."""

    __slots__ = ("enforcement", "is_disabled", "rules")

    def __init__(self, spec: core.PolicySpec, place: str) -> None:
        attrs = normalized(to_json(spec.attrs)) if spec.HasField("attrs") else {}
        self.is_disabled = spec.is_disabled
        self.rules = [
            Rule(
                where,
                rule.effect == _ALLOW,
                rule.priority,
                Check(open_condition(rule.condition, where, attrs)),
            )
            for index, rule in enumerate(spec.rules, 1)
            if (where := f"{place}, rule {index}" + (f" ({rule.name})" if rule.name else ""))
        ]
        enforcement = [
            (open_condition(rule.condition, f"{place}, enforcement rule {index}", attrs),
             rule.effect == _ENFORCE)
            for index, rule in enumerate(spec.enforcement_rules, 1)
            if rule.effect in (_ENFORCE, _IGNORE)
        ]  # fmt: skip
        self.enforcement = Check(Enforcement(enforcement)) if enforcement else None


class Attached(NamedTuple):
    """A Policy at one place; `trigger` tells when it is attached there, None stands for always."""

    policy: AccessPolicy
    trigger: Check | None = None


class Unit(NamedTuple):
    """A rule with the guards that let its Policy apply."""

    rule: Rule
    guards: tuple[Check, ...]


class PolicyList:
    """Policies that are attached to the same parties.

    `slots` holds their rules in the order in which they are tried, by priority and effect, each
    slot in the order of collection. `guards` are the conditions on which Policies apply: those of
    one Policy one after the other.
    """

    __slots__ = ("guards", "slots")

    def __init__(self, attached: Sequence[Attached]) -> None:
        slots: list[list[Unit]] = [[] for _ in range(_SLOTS)]
        guarded: dict[tuple[Check, ...], None] = {}
        for policy, trigger in attached:
            guards: tuple[Check, ...] = () if trigger is None else (trigger,)
            if not policy.is_disabled and policy.enforcement is not None:
                guards = (*guards, policy.enforcement)
            if guards:
                guarded[guards] = None
            if not policy.is_disabled:
                for rule in policy.rules:
                    slots[rule.slot].append(Unit(rule, guards))
        for slot in slots:
            slot.sort(key=lambda unit: unit.rule.priority)
        self.slots = tuple(map(tuple, slots))
        self.guards = tuple(guarded)
