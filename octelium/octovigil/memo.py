"""The plans that are remembered: found in one look-up, dropped when something they read changes.

Every plan names the resources that it was made from. A commit drops the plans of what it changed,
also those that looked for something in vain and those that looked at all resources of a kind. The
whole is bounded in bytes; plans that were asked since the last look are spared, as are those that
open streams hang on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.octovigil.attachments import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.octovigil.attachments import Collection, Dependency
    from octelium.octovigil.plan import Key, Plan

DEFAULT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one process."""

_TABLE_SHARE: Final = 4
"""One plan may remember decisions up to this fraction of the limit."""


class Memo:
    """Plans by Service and Session."""

    __slots__ = ("_dependents", "_sharing", "bytes", "limit", "plans")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.bytes = 0
        """An estimate of what the plans take."""
        self.plans: dict[Key, Plan] = {}
        self._dependents: dict[Dependency, set[Key | Collection]] = {}
        self._sharing: dict[Collection, set[Key]] = {}
        """Plans by what they depend on together, which depends on resources in their place."""

    def put(self, plan: Plan) -> None:
        """Remember a plan, in place of an earlier one of the same key."""
        former = self.plans.get(plan.key)
        if former is not None:
            self.drop(former)
        plan.on_growth = self._grown
        self.plans[plan.key] = plan
        self.bytes += plan.bytes
        self._depend(plan.key, plan.dependencies)
        if plan.shared is not None:
            sharing = self._sharing.get(plan.shared)
            if sharing is None:
                self._sharing[plan.shared] = {plan.key}
                self._depend(plan.shared, plan.shared.dependencies)
            else:
                sharing.add(plan.key)
        if self.bytes > self.limit:
            self._shrink(plan)

    def drop(self, plan: Plan) -> None:
        """Forget a plan. Its watches are left to the caller."""
        if self.plans.get(plan.key) is not plan:
            return
        del self.plans[plan.key]
        self.bytes -= plan.bytes
        plan.on_growth = None
        self._release(plan.key, plan.dependencies)
        if plan.shared is not None:
            sharing = self._sharing[plan.shared]
            sharing.discard(plan.key)
            if not sharing:
                del self._sharing[plan.shared]
                self._release(plan.shared, plan.shared.dependencies)

    def invalidate(self, changed: Iterable[Dependency]) -> list[Plan]:
        """Drop and return the plans that depend on a changed resource (kind and uid)."""
        found: set[Key | Collection] = set()
        kinds: set[str] = set()
        for dependency in changed:
            found |= self._dependents.get(dependency, set())
            kinds.add(dependency[0])
        for kind in kinds:
            found |= self._dependents.get((kind, ANY), set())
        keys: set[Key] = set()
        for dependent in found:
            keys |= {dependent} if isinstance(dependent, tuple) else self._sharing[dependent]
        dropped = [self.plans[key] for key in keys]
        for plan in dropped:
            self.drop(plan)
        return dropped

    def _depend(self, dependent: Key | Collection, dependencies: Iterable[Dependency]) -> None:
        for dependency in dependencies:
            dependents = self._dependents.get(dependency)
            if dependents is None:
                self._dependents[dependency] = {dependent}
            else:
                dependents.add(dependent)

    def _release(self, dependent: Key | Collection, dependencies: Iterable[Dependency]) -> None:
        for dependency in dependencies:
            dependents = self._dependents.get(dependency)
            if dependents is not None:
                dependents.discard(dependent)
                if not dependents:
                    del self._dependents[dependency]

    def clear(self) -> list[Plan]:
        """Drop and return all plans."""
        dropped = list(self.plans.values())
        for plan in dropped:
            self.drop(plan)
        return dropped

    def _grown(self, plan: Plan, size: int) -> None:
        self.bytes += size
        if plan.bytes > self.limit // _TABLE_SHARE:
            self.bytes -= plan.forget()
        if self.bytes > self.limit:
            self._shrink(plan)

    def _shrink(self, spared: Plan) -> None:
        """Drop plans in the order of their age until a tenth is free; twice round at most."""
        target = self.limit - self.limit // 10
        for plan in [*self.plans.values(), *self.plans.values()]:
            if self.bytes <= target:
                return
            if plan is spared:
                continue
            if plan.watches:
                self.bytes -= plan.forget()
            elif plan.asked:
                plan.asked = False
            else:
                self.drop(plan)
