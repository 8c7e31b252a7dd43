"""Carries out applies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2

from octelium.apiserver.apply.comparison import changed_fields, declared, differ
from octelium.apiserver.apply.plan import BuiltIn, Plan, make_plan, method_of
from octelium.apiserver.apply.refusals import Refusals
from octelium.apiserver.apply.steps import Step, read_prunes, read_steps
from octelium.apiserver.apply.warnings import find_warnings, has_policies, names_policies
from octelium.apiserver.core.caller import Caller
from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.warnings import may_see_attachments
from octelium.schema.jsonform import to_json
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import PermissionDenied, ResourceChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.apiserver.core.deployment import AskController
    from octelium.apiserver.core.rules import Rules
    from octelium.apiserver.core.verbs import Verbs
    from octelium.apiserver.rpc import Authorize, Call
    from octelium.store.resources import Resources, Transaction

_UNAUTHORIZED = "Octelium: Unauthorized"
_READ_POLICY = method_of("Get", all_rules()["Policy"])
_ATTEMPTS = 5
_BREATH = 50
"""Resources after which other calls get a turn."""


class Applier:
    """Applies requests. `controller` tells what deploys the Cluster's containers."""

    def __init__(
        self,
        resources: Resources,
        verbs: Verbs,
        authorize: Authorize,
        built_in: BuiltIn,
        *,
        controller: AskController,
    ) -> None:
        self._controller = controller
        self._resources = resources
        self._verbs = verbs
        self._authorize = authorize
        self._built_in = built_in

    async def apply(
        self,
        request: ext.ApplyRequest,
        call: Call,
        look: Callable[[Transaction], None] | None = None,
    ) -> ext.ApplyResponse:
        """Do everything the request says or, in a dry run, find out what that would be.

        With `look` it is a dry run too: `look` sees the transaction before it is discarded.

        Raises:
            ApiError: Something is refused, and nothing was written. The text and the trailer
                `octelium-apply-errors-bin` say which resources and why. If the request is strict,
                what would only be warned of is refused too.
        """
        caller = Caller.of(call)
        steps, pruned = read_steps(request, call), read_prunes(request)
        built_in = None if request.prune_builtin else self._built_in
        allowed: set[str] = set()
        await self._decide_kinds(steps, allowed, call)
        if any(names_policies(step) for step in steps) and await self._authorize(
            call, _READ_POLICY
        ):
            allowed.add(_READ_POLICY)
        visible = any(map(has_policies, steps)) and await may_see_attachments(self._authorize, call)
        for _ in range(_ATTEMPTS):
            # Decisions may take a while, so they are asked for before the store is held. If it
            # changed meanwhile and the plan with it, the new plan is decided too.
            expected = make_plan(self._resources, steps, pruned, call, built_in)
            await self._decide(expected, allowed, call)
            async with self._resources.transaction(caller.actor) as tx:
                caller.check(tx)
                plan = make_plan(tx, steps, pruned, call, built_in)
                if not all(method in allowed for method, _ in plan.methods()):
                    continue
                await self._write(tx, plan, caller, call)
                warnings = await find_warnings(
                    tx,
                    plan.steps,
                    named=_READ_POLICY in allowed,
                    visible=visible,
                    controller=self._controller(),
                )
                if request.strict:
                    warnings.refuse(call)
                if look is not None:
                    look(tx)
                if request.dry_run or look is not None:
                    tx.discard()
            return ext.ApplyResponse(
                operations=(
                    _report(step, dry_run=request.dry_run) for step in (*plan.steps, *plan.prunes)
                ),
                revision=tx.revision,
                warnings=warnings.sent(),
                spared=plan.spared,
            )
        raise ResourceChanged("the resources keep changing under the request: try again")

    async def _decide_kinds(self, steps: Sequence[Step], allowed: set[str], call: Call) -> None:
        """Refuse every resource of a kind that the caller may neither read nor write.

        Before the store is asked, and in one text: which method a resource needs depends on
        whether it exists.
        """
        known: dict[str, bool] = {}
        refusals = Refusals()
        for step in steps:
            kind = step.rules.name
            if kind not in known:
                known[kind] = await self._may_touch(step.rules, allowed, call)
            if not known[kind]:
                refusals.add(step, PermissionDenied(_UNAUTHORIZED))
        refusals.settle(call)

    async def _may_touch(self, rules: Rules, allowed: set[str], call: Call) -> bool:
        for verb in ("Get", "Create", "Update"):
            method = method_of(verb, rules)
            if verb in rules.verbs and await self._authorize(call, method):
                allowed.add(method)
                return True
        return False

    async def _decide(self, plan: Plan, allowed: set[str], call: Call) -> None:
        refusals = Refusals()
        denied: set[str] = set()
        for method, step in plan.methods():
            if method in allowed:
                continue
            if method not in denied and await self._authorize(call, method):
                allowed.add(method)
                continue
            denied.add(method)
            verb = method.rpartition("/")[2]
            refusals.add(step, PermissionDenied(f"{verb}: {_UNAUTHORIZED}"))
        refusals.settle(call)

    async def _write(self, tx: Transaction, plan: Plan, caller: Caller, call: Call) -> None:
        refusals = Refusals()
        for stage in plan.stages():
            if refusals and all(step.action == ext.Action__.DELETED for step in stage):
                continue  # what would free them has been refused
            for count, step in enumerate(stage, 1):
                refusals.attempt(self._carry_out, step, tx, caller)
                if count % _BREATH == 0:
                    await asyncio.sleep(0)
        refusals.settle(call)

    def _carry_out(self, step: Step, tx: Transaction, caller: Caller) -> None:
        match step.action:
            case ext.Action__.CREATED:
                step.new = self._verbs.create(tx, step.rules, step.given)
            case ext.Action__.UPDATED:
                step.new = self._verbs.update(tx, step.rules, step.given, caller)
                if not differ(step.old, step.new):
                    # Written otherwise, the same when brought into its stored form.
                    step.action = ext.Action__.UNCHANGED
            case ext.Action__.DELETED:
                options = meta.DeleteOptions(uid=step.old.metadata.uid)
                self._verbs.delete(tx, step.rules, options, caller)


def _report(step: Step, *, dry_run: bool) -> ext.AppliedOperation:
    result = step.new or step.old
    operation = ext.AppliedOperation(
        kind=step.rules.name, name=result.metadata.name, action=step.action
    )
    if step.action == ext.Action__.UPDATED:
        operation.changed.extend(changed_fields(step.old, step.new))
    if dry_run and step.action != ext.Action__.UNCHANGED:
        for target, message in ((operation.before, step.old), (operation.after, step.new)):
            if message is not None:
                target.CopyFrom(_struct(to_json(declared(message))))
    return operation


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(value)
    return struct
