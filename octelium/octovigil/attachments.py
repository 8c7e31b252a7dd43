"""Which Policies apply to a request, and where each is attached.

They are collected from the Service, its Namespace, the User, its Groups in the User's order, the
Session, the Device and the triggers; at each place the named ones come before the inline ones. A
Policy brings its ancestors along (`c.b.a`: `b.a` and `a`), each with enforcement rules of its own.
The place gives no precedence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.compilation import demand
from octelium.octovigil.errors import DecisionError
from octelium.policy.cel.errors import BudgetError, EvaluationError, UnknownDataError
from octelium.policy.cel.reads import Path
from octelium.policy.cel.values import ATTRS, Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octelium.octovigil.compilation import Work
    from octelium.octovigil.policies import CompiledPolicy, Policies, Rule
    from octelium.octovigil.triggers import CompiledTrigger, Parties
    from octelium.policy.condition import CompiledCondition
    from octelium.replica.replica import Entry, PolicyEntry, Replica
    from octelium.schema.pb import core_v1_pb2 as core

ANY: Final = "*"
"""In place of a uid: any resource of the kind."""

Dependency = tuple[str, str]
"""Kind and uid of a resource, or kind and `ANY`."""

_KEPT: Final = 512
"""Collections of one process, those of earlier versions of their owners among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """A Policy at one place."""

    policy: CompiledPolicy
    owner: Entry[Any]
    trigger: CompiledTrigger | None = None


class Collection:
    """What is attached to a set of owners and by the triggers, in the order of collection.

    It is the same for all requests with these owners, so it holds nothing that an evaluation
    found.
    """

    __slots__ = ("_named", "dependencies", "items", "order", "problem", "reads", "triggers")

    def __init__(
        self,
        replica: Replica,
        policies: Policies,
        triggers: Sequence[CompiledTrigger],
        owners: Sequence[Entry[Any]],
    ) -> None:
        self.triggers = triggers
        self.items: list[Attachment] = []
        self.problem = ""
        """Why nothing can be decided: a Policy does not exist, and it might refuse."""
        self._named: list[PolicyEntry] = []
        found: list[Dependency] = [("PolicyTrigger", ANY), ("ClusterConfig", ANY)]
        try:
            for owner in owners:
                spec = owner.message.spec.authorization
                self._attach(replica, policies, owner, spec.policies, spec.inline_policies, None)
            for trigger in triggers:
                at = trigger.trigger
                inline = at.inline_policies
                self._attach(replica, policies, at.source, at.policies, inline, trigger)
        except DecisionError as error:
            self.problem = str(error)
            found.append(("Policy", ANY))
        found += [("Policy", entry.uid) for entry in self._named]
        self.dependencies: tuple[Dependency, ...] = tuple(found)
        """The resources that were read, and the kinds in which a look-up failed or all resources
        were looked at."""
        self.reads: frozenset[Path] = frozenset[Path]().union(
            *(item.policy.reads for item in self.items),
            *(condition.reads for trigger in triggers for condition in trigger.conditions),
        )
        """Paths below `ctx` that any condition reads."""
        self.order: tuple[Rule, ...] | None = None
        """The rules in the order in which they are tried; None if that takes an evaluation."""
        if all(item.trigger is None and not item.policy.enforcement for item in self.items):
            self.order = tuple(_in_order(item.policy for item in self.items))

    def _attach(
        self,
        replica: Replica,
        policies: Policies,
        owner: Entry[Any],
        names: Sequence[str],
        inline: Sequence[core.InlinePolicy],
        trigger: CompiledTrigger | None,
    ) -> None:
        by_name = replica.policies_by_name
        for name in names:
            entry = by_name.get(name)
            for ancestor in (name,) if entry is None else entry.lineage:
                entry = by_name.get(ancestor)
                if entry is None:
                    where = f"{owner.kind} {owner.name}"
                    raise DecisionError(f"Policy {ancestor}, attached to {where}, does not exist")
                self._named.append(entry)
                self.items.append(Attachment(policies.named(entry), owner, trigger))
        for policy in policies.inline(owner, inline):
            self.items.append(Attachment(policy, owner, trigger))

    def is_current(self, replica: Replica) -> bool:
        """Whether all its Policies are still the same versions."""
        by_name = replica.policies_by_name
        return not self.problem and [by_name.get(each.name) for each in self._named] == self._named


class Collector:
    """Collects what is attached, and keeps the collections by their owners."""

    __slots__ = ("_kept", "_policies", "_replica")

    def __init__(self, replica: Replica, policies: Policies) -> None:
        self._replica = replica
        self._policies = policies
        self._kept: dict[tuple[Entry[Any], ...], Collection] = {}

    def collect(
        self, triggers: Sequence[CompiledTrigger], parties: Parties, *, at_once: bool = True
    ) -> Collection:
        """What is attached to `parties`. `triggers` are all that the Cluster has.

        Raises:
            CompilationNeeded: so much is to be compiled that it should not be done `at_once`.
        """
        candidates: tuple[Entry[Any] | None, ...] = (
            parties.service,
            parties.namespace,
            parties.user,
            *parties.groups,
            parties.session,
            parties.device,
        )
        owners = tuple(
            [owner for owner in candidates if owner is not None and owner.has_authorization]
        )
        known = self._kept.get(owners)
        if known is None or known.triggers is not triggers or not known.is_current(self._replica):
            if not at_once:
                demand(list(self._work(triggers, owners)))
            known = Collection(self._replica, self._policies, triggers, owners)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[owners] = known
        return known

    def _work(
        self, triggers: Sequence[CompiledTrigger], owners: Sequence[Entry[Any]]
    ) -> Iterator[Work]:
        names: dict[str, None] = {}
        for owner in owners:
            spec = owner.message.spec.authorization
            names |= dict.fromkeys(spec.policies)
            yield from self._policies.inline_work(owner, spec.inline_policies)
        for trigger in triggers:
            names |= dict.fromkeys(trigger.trigger.policies)
            at = trigger.trigger
            yield from self._policies.inline_work(at.source, at.inline_policies)
        by_name = self._replica.policies_by_name
        named = [by_name[name] for name in names if name in by_name]
        lineages = dict.fromkeys(name for entry in named for name in entry.lineage)
        for name in lineages:
            if name in by_name:
                yield from self._policies.named_work(by_name[name])


class Attachments:
    """Everything attached to one request's parties."""

    __slots__ = ("_collection", "items", "parties")

    def __init__(self, collection: Collection, parties: Parties) -> None:
        self._collection = collection
        self.parties = parties
        self.items: Sequence[Attachment] = collection.items

    @property
    def reads(self) -> frozenset[Path]:
        """Paths below `ctx` that any condition reads."""
        return self._collection.reads

    def conditions(self) -> Iterator[CompiledCondition]:
        """Every condition that any outcome may depend on."""
        for trigger in self._collection.triggers:
            yield from trigger.conditions
        for item in self.items:
            yield from item.policy.conditions

    def rules(self, frame: Frame, now: float) -> Sequence[Rule]:
        """The rules of the Policies that apply, in the order in which they are tried.

        Raises:
            UnknownDataError: that depends on the request, which is not known yet.
            BudgetError: it takes more steps than are left.
            DecisionError: a trigger or an enforcement rule failed.
        """
        if self._collection.order is not None:
            return self._collection.order
        return _in_order(self._applying(frame, now))

    def _applying(self, frame: Frame, now: float) -> Iterator[CompiledPolicy]:
        applies: dict[CompiledTrigger, bool] = {}
        used: set[CompiledPolicy] = set()
        for item in self.items:
            if item.trigger is not None:
                if item.trigger not in applies:
                    applies[item.trigger] = self._holds(item.trigger, frame, now)
                if not applies[item.trigger]:
                    continue
            policy = item.policy
            if policy in used or policy.is_disabled:
                continue
            used.add(policy)
            if not policy.enforcement or _enforced(policy, frame):
                yield policy

    def _holds(self, trigger: CompiledTrigger, frame: Frame, now: float) -> bool:
        try:
            return trigger.holds(frame, self.parties, now)
        except (UnknownDataError, BudgetError):
            raise
        except EvaluationError as error:
            name = f"{trigger.trigger.source.kind} {trigger.trigger.source.name}"
            raise DecisionError(f"pre-condition of {name}: {error}") from None


def _in_order(policies: Iterable[CompiledPolicy]) -> list[Rule]:
    """The rules of enabled Policies, each Policy's once."""
    distinct = dict.fromkeys(policies)
    rules = [rule for policy in distinct if not policy.is_disabled for rule in policy.rules]
    rules.sort(key=_order)
    return rules


def _order(rule: Rule) -> tuple[int, bool]:
    return rule.priority, rule.allows


def _enforced(policy: CompiledPolicy, frame: Frame) -> bool:
    """Whether a Policy applies: one of its rules enforces it, or none ignores it."""
    frame[ATTRS] = policy.attrs
    for rule in policy.enforcement:
        try:
            if rule.condition.test(frame):
                return rule.enforces
        except (UnknownDataError, BudgetError):
            raise
        except EvaluationError as error:
            raise DecisionError(f"{rule.place}: {error}") from None
    return True
