"""Which Policies apply to a request, and where each is attached.

They are collected from the Service, its Namespace, the User, its Groups in the User's order, the
Session, the Device and the triggers; at each place the named ones come before the inline ones. A
Policy brings its ancestors along (`c.b.a`: `b.a` and `a`), each with enforcement rules of its own.
The place gives no precedence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.errors import DecisionError
from octelium.policy.cel.errors import EvaluationError, UnknownDataError
from octelium.policy.cel.values import ATTRS, Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octelium.octovigil.policies import CompiledPolicy, Policies, Rule
    from octelium.octovigil.triggers import CompiledTrigger, Parties
    from octelium.policy.cel.reads import Path
    from octelium.policy.condition import CompiledCondition
    from octelium.replica.replica import Entry, Replica
    from octelium.schema.pb import core_v1_pb2 as core

ANY: Final = "*"
"""In place of a uid: any resource of the kind."""

Dependency = tuple[str, str]
"""Kind and uid of a resource, or kind and `ANY`."""


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """A Policy at one place."""

    policy: CompiledPolicy
    owner: Entry[Any]
    trigger: CompiledTrigger | None = None


class Attachments:
    """Everything attached to a request's parties, in the order of collection."""

    __slots__ = ("_dependencies", "_policies", "_replica", "_triggers", "items", "parties")

    def __init__(
        self,
        replica: Replica,
        policies: Policies,
        triggers: Sequence[CompiledTrigger],
        parties: Parties,
        dependencies: list[Dependency],
    ) -> None:
        """Collect.

        To `dependencies` are added, also on failure, the resources that were read, and the kinds
        in which a look-up failed or all resources were looked at.

        Raises:
            DecisionError: a Policy does not exist: it might refuse.
        """
        self._replica = replica
        self._policies = policies
        self._triggers = triggers
        self.parties = parties
        self._dependencies = dependencies
        dependencies += [("PolicyTrigger", ANY), ("ClusterConfig", ANY)]
        self.items: list[Attachment] = []
        owners: Iterable[Entry[Any] | None] = (
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
                self._attach(owner, authorization.policies, authorization.inline_policies, None)
        for trigger in triggers:
            source = trigger.trigger
            self._attach(source.source, source.policies, source.inline_policies, trigger)

    def _attach(
        self,
        owner: Entry[Any],
        names: Sequence[str],
        inline: Sequence[core.InlinePolicy],
        trigger: CompiledTrigger | None,
    ) -> None:
        for name in names:
            for policy in self._lineage(owner, name):
                self.items.append(Attachment(policy, owner, trigger))
        for policy in self._policies.inline(owner, inline):
            self.items.append(Attachment(policy, owner, trigger))

    def _lineage(self, owner: Entry[Any], name: str) -> Iterator[CompiledPolicy]:
        entry = self._replica.policies_by_name.get(name)
        lineage = (name,) if entry is None else entry.lineage
        for ancestor in lineage:
            entry = self._replica.policies_by_name.get(ancestor)
            if entry is None:
                self._dependencies.append(("Policy", ANY))
                where = f"{owner.kind} {owner.name}"
                raise DecisionError(f"Policy {ancestor}, attached to {where}, does not exist")
            self._dependencies.append(("Policy", entry.uid))
            yield self._policies.named(entry)

    @property
    def reads(self) -> frozenset[Path]:
        """Paths below `ctx` that any condition reads."""
        paths: set[Path] = set()
        for item in self.items:
            paths |= item.policy.reads
        for trigger in self._triggers:
            for condition in trigger.conditions:
                paths |= condition.reads
        return frozenset(paths)

    def conditions(self) -> Iterator[CompiledCondition]:
        """Every condition that any outcome may depend on."""
        for trigger in self._triggers:
            yield from trigger.conditions
        for item in self.items:
            yield from item.policy.conditions

    def rules(self, frame: Frame, now: float) -> list[Rule]:
        """The rules of the Policies that apply, in the order in which they are tried.

        Raises:
            UnknownDataError: that depends on the request, which is not known yet.
            DecisionError: a trigger or an enforcement rule failed.
        """
        applies: dict[CompiledTrigger, bool] = {}
        used: set[CompiledPolicy] = set()
        rules: list[Rule] = []
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
                rules.extend(policy.rules)
        rules.sort(key=_order)
        return rules

    def _holds(self, trigger: CompiledTrigger, frame: Frame, now: float) -> bool:
        try:
            return trigger.holds(frame, self.parties, now)
        except UnknownDataError:
            raise
        except EvaluationError as error:
            name = f"{trigger.trigger.source.kind} {trigger.trigger.source.name}"
            raise DecisionError(f"pre-condition of {name}: {error}") from None


def _order(rule: Rule) -> tuple[int, bool]:
    return rule.priority, rule.allows


def _enforced(policy: CompiledPolicy, frame: Frame) -> bool:
    """Whether a Policy applies: one of its rules enforces it, or none ignores it."""
    frame[ATTRS] = policy.attrs
    for rule in policy.enforcement:
        try:
            if rule.condition.test(frame):
                return rule.enforces
        except UnknownDataError:
            raise
        except EvaluationError as error:
            raise DecisionError(f"{rule.place}: {error}") from None
    return True
