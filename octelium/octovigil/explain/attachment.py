"""Moves that attach and detach Policies, and that add and remove rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain.collection import attrs_of
from octelium.octovigil.explain.evaluation import TRUE
from octelium.octovigil.explain.moves import (
    ATTACHMENT,
    RULE,
    Move,
    add_item,
    attach,
    named,
    remove_item,
    set_field,
)
from octelium.policy.cel.unparse import quoted
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.octovigil.explain.collection import Attached, RuleTried
    from octelium.octovigil.explain.evaluation import Evaluator
    from octelium.octovigil.explain.trace import Trace
    from octelium.replica.replica import Entry
    from octelium.schema.errors import Step

STRONGEST: Final = -4
"""The priority that nothing goes before."""

_MAX_POLICIES: Final = 500
"""Policies that are looked through for one to attach."""
_MAX_TRIED: Final = 12


def detach(policy: Attached) -> Iterator[Move]:
    """Moves that take a Policy away from where it is attached."""
    owner = policy.owner
    path = _authorization(owner)
    if policy.entry is None:
        items = to_json(_part(owner)).get("inlinePolicies", [])
        text = f"remove {policy.place}"
        yield remove_item(owner, (*path, "inlinePolicies"), items[policy.index], text, ATTACHMENT)
    else:
        name = policy.inherited_from or policy.entry.name
        text = f"detach Policy {name} from {named(owner)}"
        yield remove_item(owner, (*path, "policies"), name, text, ATTACHMENT)


def disable(policy: Attached) -> Iterator[Move]:
    """Moves that disable a Policy, for everybody."""
    if policy.entry is not None:
        text = f"disable {policy.place}"
        yield set_field(policy.entry, ("spec", "isDisabled"), True, text, RULE)
    else:
        path: tuple[Step, ...] = _authorization(policy.owner)
        path = (*path, "inlinePolicies", policy.index)
        text = f"disable {policy.place}"
        yield set_field(policy.owner, (*path, "spec", "isDisabled"), True, text, RULE)


def remove_rule(tried: RuleTried) -> Iterator[Move]:
    """Moves that remove a rule from its Policy, for everybody."""
    policy = tried.policy
    item = to_json(tried.rule)
    text = f"remove rule {tried.rule.name or tried.index + 1} of {policy.place}"
    if policy.entry is not None:
        yield remove_item(policy.entry, ("spec", "rules"), item, text, RULE)
    else:
        path: tuple[Step, ...] = _authorization(policy.owner)
        path = (*path, "inlinePolicies", policy.index, "spec", "rules")
        yield remove_item(policy.owner, path, item, text, RULE)


def add_rule(told: Trace, *, allows: bool, priority: int) -> Iterator[Move]:
    """Moves that add an inline policy with one rule, for this User and this Service alone."""
    verb = "allows" if allows else "denies"
    how = f", with priority {priority}" if priority else ""
    parties = told.parties
    for owner in (parties.service, parties.user, parties.session, parties.namespace):
        if owner is None or owner.message.metadata.is_system:
            continue
        tests: list[tuple[str, Entry[Any]]] = []
        if parties.user is not None and owner.kind in ("Service", "Namespace"):
            tests.append(("ctx.user", parties.user))
        if owner.kind != "Service":
            tests.append(("ctx.service", parties.service))
        match = " && ".join(f"{at}.metadata.name == {quoted(it.name)}" for at, it in tests)
        rule: dict[str, Any] = {
            "effect": "ALLOW" if allows else "DENY",
            "condition": {"match": match} if tests else {"matchAny": True},
        }
        if priority:
            rule["priority"] = priority
        what = " to ".join(named(it) for _, it in tests) or "everything"
        text = f"add to {named(owner)} an inline policy with a rule that {verb} {what}{how}"
        path = ("spec", "authorization", "inlinePolicies")
        yield add_item(owner, path, {"spec": {"rules": [rule]}}, text, RULE)


def attach_existing(told: Trace, evaluator: Evaluator) -> Iterator[Move]:
    """Moves that attach a Policy which allows as things are."""
    owner = told.parties.user or told.parties.service
    if owner.message.metadata.is_system:
        return
    known = {policy.entry.uid for policy in told.policies if policy.entry is not None}
    found = 0
    names = sorted(told.supposition.replica.policies_by_name)[:_MAX_POLICIES]
    for name in names:
        entry = told.supposition.replica.policies_by_name[name]
        if entry.uid in known or entry.is_disabled:
            continue
        if _allows(entry.message.spec, evaluator):
            yield attach(owner, name)
            found += 1
            if found >= _MAX_TRIED:
                return


def _allows(spec: core.PolicySpec, evaluator: Evaluator) -> bool:
    """Whether one of the rules that allow holds as things are."""
    attrs = attrs_of(spec)
    return any(
        rule.effect == core.PolicySpecRuleEffect__.ALLOW
        and evaluator.result(rule.condition, attrs).verdict == TRUE
        for rule in spec.rules
    )


def _authorization(owner: Entry[Any]) -> tuple[str, ...]:
    """Where the Policies of a resource stand."""
    return ("status",) if owner.kind == "PolicyTrigger" else ("spec", "authorization")


def _part(owner: Entry[Any]) -> Any:
    message = owner.message
    return message.status if owner.kind == "PolicyTrigger" else message.spec.authorization
