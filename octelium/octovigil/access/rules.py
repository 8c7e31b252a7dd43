"""Lists of Policies, as they are attached somewhere, and what each has to say on a request.

A list is split by what its rules look at: who asks, what is asked for, the request. What a group of
rules comes to is remembered by what it sees of these, so that for most pairs of User and Service
nothing is evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.octovigil.access.conditions import (
    Check,
    Enforcement,
    all_reads,
    compile_test,
)
from octelium.octovigil.access.formula import FALSE, TRUE
from octelium.octovigil.access.parties import split
from octelium.policy.cel.values import normalized
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.octovigil.access.formula import Formula, Formulas
    from octelium.octovigil.access.parties import Part, Party, Place, Subject

_ALLOW: Final = core.PolicySpecRuleEffect__.ALLOW
_ENFORCE: Final = core.PolicySpecEnforcementRuleEffect__.ENFORCE
_IGNORE: Final = core.PolicySpecEnforcementRuleEffect__.IGNORE


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule of a Policy. `place` is for people: `Policy ops, rule 0 (admins)`."""

    place: str
    allows: bool
    priority: int
    check: Check


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
                Check(compile_test(rule.condition, where, attrs)),
            )
            for index, rule in enumerate(spec.rules)
            if (where := f"{place}, rule {index}" + (f" ({rule.name})" if rule.name else ""))
        ]
        enforcement = [
            (compile_test(rule.condition, f"{place}, enforcement rule {index}", attrs),
             rule.effect == _ENFORCE)
            for index, rule in enumerate(spec.enforcement_rules)
            if rule.effect in (_ENFORCE, _IGNORE)
        ]  # fmt: skip
        self.enforcement = Check(Enforcement(enforcement)) if enforcement else None


class Attached(NamedTuple):
    """A Policy at one place; `trigger` tells when it is attached there, None stands for always."""

    policy: AccessPolicy
    trigger: Check | None = None


class Hit(NamedTuple):
    """A rule that may decide: where it does when it is reached, and where it fails."""

    rule: Rule
    holds: Formula
    fails: Formula
    position: int


class Bundle:
    """What a group of rules comes to. `blocked` is where nothing can be decided. By identity."""

    __slots__ = ("blocked", "hits", "is_empty")

    def __init__(self, hits: tuple[Hit, ...], blocked: Formula) -> None:
        self.hits = hits
        self.blocked = blocked
        self.is_empty = not hits and blocked is FALSE


class _Unit(NamedTuple):
    """A rule with what lets its Policy apply; without one it only tells where that fails."""

    guards: tuple[Check, ...]
    rule: Rule | None
    position: int


class Bundles:
    """Makes bundles, each only once."""

    def __init__(self, formulas: Formulas) -> None:
        self.formulas = formulas
        self.empty = Bundle((), FALSE)
        self._made: dict[tuple[object, ...], Bundle] = {}

    def make(self, hits: Sequence[Hit], blocked: Formula) -> Bundle:
        """The bundle of these."""
        if not hits and blocked is FALSE:
            return self.empty
        key = (blocked, *hits)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = Bundle(tuple(hits), blocked)
        return made


class Group:
    """Rules of a list that look at the same of the three: who, what, the request."""

    __slots__ = ("_asked", "_bundles", "_place", "_seen", "_subject", "_units")

    def __init__(self, units: Sequence[_Unit], bundles: Bundles) -> None:
        self._units = units
        self._bundles = bundles
        reads = all_reads(check for unit in units for check in _checks(unit))
        self._subject, self._place, self._asked = split(reads)
        self._seen: dict[tuple[Part, Part, Part], Bundle] = {}

    def bundle(self, subject: Subject, place: Place, asked: Party) -> Bundle:
        """What the rules come to for this request."""
        key = (subject.part(self._subject), place.part(self._place), asked.part(self._asked))
        bundle = self._seen.get(key)
        if bundle is None:
            bundle = self._seen[key] = self._find(subject, place, asked)
        return bundle

    def _find(self, subject: Subject, place: Place, asked: Party) -> Bundle:
        formulas = self._bundles.formulas
        hits: list[Hit] = []
        blocked: list[Formula] = []
        for unit in self._units:
            applies = TRUE
            for guard in unit.guards:
                judgement = guard.judge(formulas, subject, place, asked)
                if unit.rule is None:
                    blocked.append(formulas.all([applies, judgement.fails]))
                applies = formulas.all([applies, judgement.holds])
                if applies is FALSE:
                    break
            if unit.rule is None or applies is FALSE:
                continue
            holds, fails = unit.rule.check.judge(formulas, subject, place, asked)
            if holds is not FALSE or fails is not FALSE:
                holds = formulas.all([applies, holds])
                fails = formulas.all([applies, fails])
                hits.append(Hit(unit.rule, holds, fails, unit.position))
        return self._bundles.make(hits, formulas.any(blocked))


class PolicyList:
    """Policies that are attached to the same parties."""

    __slots__ = ("groups",)

    def __init__(self, attached: Sequence[Attached], bundles: Bundles) -> None:
        units: dict[tuple[bool, ...], list[_Unit]] = {}
        for position, unit in enumerate(_units(attached)):
            reads = all_reads(_checks(unit))
            sort = tuple(map(bool, split(reads)))
            units.setdefault(sort, []).append(unit._replace(position=position))
        self.groups = [Group(each, bundles) for each in units.values()]


def _units(attached: Sequence[Attached]) -> list[_Unit]:
    found: list[_Unit] = []
    for policy, trigger in attached:
        guards: tuple[Check, ...] = () if trigger is None else (trigger,)
        if not policy.is_disabled and policy.enforcement is not None:
            guards = (*guards, policy.enforcement)
        if guards:
            found.append(_Unit(guards, None, 0))
        if not policy.is_disabled:
            found += [_Unit(guards, rule, 0) for rule in policy.rules]
    return found


def _checks(unit: _Unit) -> tuple[Check, ...]:
    return unit.guards if unit.rule is None else (*unit.guards, unit.rule.check)
