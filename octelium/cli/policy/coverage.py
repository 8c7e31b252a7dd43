"""Which rules the tests reached: tried at all, and true at least once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.cli.policy.runner import rule_place
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.cli.policy.runner import CaseResult
    from octelium.schema.documents import Document

Place = tuple[str, int]
"""Of a rule: its Policy in words, and its position there."""


@dataclass(slots=True)
class RuleUse:
    """What became of one rule in all cases; `where` is its file and line, if it is known."""

    place: Place
    name: str
    where: str = ""
    tried: int = 0
    true: int = 0

    @property
    def title(self) -> str:
        """What to call the rule."""
        return rule_place(*self.place, self.name)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The rules that there are, in their order."""

    rules: tuple[RuleUse, ...]

    @property
    def never_tried(self) -> list[RuleUse]:
        """Rules that no case came to."""
        return [rule for rule in self.rules if not rule.tried]

    @property
    def never_true(self) -> list[RuleUse]:
        """Rules that were tried and never held."""
        return [rule for rule in self.rules if rule.tried and not rule.true]

    @property
    def percent(self) -> float:
        """The share of rules that were true at least once; 100 if there are none."""
        if not self.rules:
            return 100.0
        return 100.0 * sum(bool(rule.true) for rule in self.rules) / len(self.rules)


def measure(
    results: Iterable[CaseResult], resources: Iterable[tuple[Document, Any]] | None
) -> Coverage:
    """What the results say of the rules in `resources`; None: of all that the decisions met."""
    uses: dict[Place, RuleUse] = {}
    if resources is not None:
        for document, message in resources:
            for place, name, path in _rules_of(message):
                where = f"{document.source}:{document.line_of(path)}"
                uses.setdefault(place, RuleUse(place, name, where))
    for result in results:
        if result.explanation is None:
            continue
        for place, rule in _explained(result, result.explanation):
            use = uses.get(place)
            if use is None:
                if resources is not None:
                    continue  # a rule that every Cluster begins with
                use = uses[place] = RuleUse(place, rule.name)
            use.tried += rule.verdict != ext.Verdict__.NOT_TRIED
            use.true += rule.verdict == ext.Verdict__.TRUE
    return Coverage(tuple(uses.values()))


def merge(parts: Iterable[Coverage]) -> Coverage:
    """Several coverages as one; a rule of the same place and file is the same."""
    uses: dict[tuple[str, Place], RuleUse] = {}
    for part in parts:
        for rule in part.rules:
            key = (rule.where, rule.place)
            use = uses.setdefault(key, RuleUse(rule.place, rule.name, rule.where))
            use.tried += rule.tried
            use.true += rule.true
    return Coverage(tuple(uses.values()))


def _explained(
    result: CaseResult, explanation: ext.Explanation
) -> Iterator[tuple[Place, ext.ExplainedRule]]:
    for rule in explanation.rules:
        if rule.policy >= len(explanation.policies):
            continue
        policy = explanation.policies[rule.policy]
        place = policy.place
        credential = result.case.who.credential
        if credential and policy.owner.kind == "Session":
            # The Session's inline policies are copies of those of the Credential.
            place = f"{place.partition(' of ')[0]} of Credential {credential}"
        yield (place, rule.index), rule


def _rules_of(message: Any) -> Iterator[tuple[Place, str, str]]:
    """The rules of a resource: their places, names, and paths in it."""
    kind, name = message.kind, message.metadata.name
    if kind == "Policy":
        for index, rule in enumerate(message.spec.rules):
            yield (f"Policy {name}", index), rule.name, f"spec.rules[{index}]"
        return
    if "authorization" not in message.spec.DESCRIPTOR.fields_by_name:
        return
    for position, policy in enumerate(message.spec.authorization.inline_policies):
        title = f"inline policy {policy.name or position + 1} of {kind} {name}"
        path = f"spec.authorization.inlinePolicies[{position}].spec"
        for index, rule in enumerate(policy.spec.rules):
            yield (title, index), rule.name, f"{path}.rules[{index}]"
