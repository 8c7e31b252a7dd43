"""Making plans: everything of a decision that does not depend on the request."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from octelium.octovigil import checks, scoping
from octelium.octovigil.attachments import ANY, Attachments, Collector
from octelium.octovigil.compilation import cost, demand
from octelium.octovigil.configs import ServiceConfigs
from octelium.octovigil.errors import DecisionError
from octelium.octovigil.plan import DEPENDENCY_BYTES, Plan
from octelium.octovigil.policies import Policies
from octelium.octovigil.triggers import CompiledTrigger, Parties
from octelium.policy.cel.errors import BudgetError, EvaluationError, UnknownDataError
from octelium.policy.cel.program import MAX_STEPS, new_frame
from octelium.policy.cel.reads import minimal
from octelium.policy.cel.values import ATTRS, BUDGET, NOW
from octelium.policy.context import Context, within_request
from octelium.policy.decision import Decision, Reason, ReasonType
from octelium.policy.observation import ambiguous
from octelium.policy.request import Path
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.octovigil.attachments import Dependency
    from octelium.octovigil.compilation import Work
    from octelium.policy.condition import CompiledCondition
    from octelium.replica.replica import (
        GroupEntry,
        Replica,
        ServiceEntry,
        SessionEntry,
        Trigger,
    )

_STEPS: Final = MAX_STEPS // 4
"""What a plan may take; what costs more is left to the decisions that it is made for."""

_E = TypeVar("_E")


class Planner:
    """Makes plans from a replica, and keeps what it compiled on the way."""

    def __init__(self, replica: Replica, make_audit: Callable[[Decision], object]) -> None:
        self._replica = replica
        self._make_audit = make_audit
        self._policies = Policies()
        self._collector = Collector(replica, self._policies)
        self._configs: dict[str, tuple[ServiceEntry, ServiceConfigs]] = {}
        self._triggers: tuple[tuple[Trigger, ...], tuple[CompiledTrigger, ...]] = ((), ())

    def forget(self, kind: str, uid: str) -> None:
        """Drop what was made of a resource that changed or went."""
        self._policies.forget(kind, uid)
        if kind == "Service":
            self._configs.pop(uid, None)

    def anonymous(self, service: ServiceEntry, now: float, *, at_once: bool = True) -> Plan:
        """The plan for a Service that is used without identity.

        Raises:
            CompilationNeeded: so much is to be compiled that it should not be done `at_once`.
        """
        dependencies = [("Service", service.uid)]
        namespace = self._replica.namespaces.get(service.namespace_uid)
        dependencies.append(("Namespace", service.namespace_uid if namespace else ANY))
        parties = Parties(service, namespace)
        plan = self._plan(parties, dependencies, math.inf, anonymous=True)
        if service.is_disabled:
            plan.constant = plan.failed("the Service is disabled")
            return plan
        plan.open = not service.enable_anonymous
        if not plan.open and namespace is None:
            return _failed(plan, f"the Namespace of Service {service.name} does not exist")
        shown = {"service": service, "namespace": None if plan.open else namespace}
        plan.context = Context(shown)
        return self._complete(plan, now, at_once=at_once)

    def unknown(self, service: ServiceEntry) -> Plan:
        """The plan for a Service that needs an identity, and a request without one."""
        namespace = self._replica.namespaces.get(service.namespace_uid)
        dependencies = [
            ("Service", service.uid),
            ("Namespace", service.namespace_uid if namespace else ANY),
        ]
        plan = self._plan(Parties(service, namespace), dependencies, math.inf, anonymous=False)
        plan.constant = plan.unauthenticated()
        return plan

    def known(
        self, service: ServiceEntry, session: SessionEntry, now: float, *, at_once: bool = True
    ) -> Plan:
        """The plan for a Session's requests to a Service.

        Raises:
            CompilationNeeded: so much is to be compiled that it should not be done `at_once`.
        """
        dependencies = [("Service", service.uid), ("Session", session.uid)]
        try:
            parties = self._parties(service, session, dependencies)
        except DecisionError as error:
            parties = Parties(service, session=session)
            return _failed(self._plan(parties, dependencies, math.inf, anonymous=False), str(error))
        deadline = checks.next_change(parties, now)
        plan = self._plan(parties, dependencies, deadline, anonymous=False)
        if service.is_disabled:
            return _failed(plan, "the Service is disabled")
        reason = checks.refusal(parties, now)
        if reason is not None:
            plan.constant = plan.refused(reason)
            return plan
        plan.pinned = self._pinned(service, session)
        plan.dependencies = (*plan.dependencies, ("ClusterConfig", ANY))
        if not scoping.covers_service(session, service):
            if not scoping.depends_on_call(service):
                plan.constant = plan.refused(Reason(ReasonType.SCOPE_UNAUTHORIZED))
                return plan
            plan.scoped = True
        shown = {
            "service": service,
            "namespace": parties.namespace,
            "session": session,
            "user": parties.user,
            "device": parties.device,
        }
        plan.context = Context(shown, parties.groups)
        return self._complete(plan, now, at_once=at_once)

    # --- parties

    def _parties(
        self, service: ServiceEntry, session: SessionEntry, dependencies: list[Dependency]
    ) -> Parties:
        """Everybody who takes part. Raises DecisionError if somebody is missing."""
        replica = self._replica

        def need(kind: str, uid: str, entry: _E | None, holder: str) -> _E:
            dependencies.append((kind, ANY if entry is None else uid))
            if entry is None:
                raise DecisionError(f"the {kind} of {holder} does not exist")
            return entry

        holder = f"Session {session.name}"
        uid = service.namespace_uid
        namespace = need("Namespace", uid, replica.namespaces.get(uid), f"Service {service.name}")
        user = need("User", session.user_uid, replica.users.get(session.user_uid), holder)
        device = None
        if uid := session.device_uid:
            device = need("Device", uid, replica.devices.get(uid), holder)
        groups: list[GroupEntry] = []
        for name in user.groups:
            group = replica.groups_by_name.get(name)
            dependencies.append(("Group", ANY if group is None else group.uid))
            if group is None:
                raise DecisionError(f"Group {name} of User {user.name} does not exist")
            groups.append(group)
        return Parties(service, namespace, session, user, device, groups)

    def _pinned(self, service: ServiceEntry, session: SessionEntry) -> str:
        config = self._replica.cluster_config
        if config is None or not config.use_forwarded_for_header or not service.is_public:
            return ""
        if session.type != core.SessionStatusType__.CLIENTLESS:
            return ""
        return session.client_address

    # --- policies and configuration

    def _plan(
        self,
        parties: Parties,
        dependencies: Iterable[Dependency],
        deadline: float,
        *,
        anonymous: bool,
    ) -> Plan:
        session = parties.session
        key = (parties.service.uid, "" if session is None else session.uid)
        return Plan(key, parties, anonymous, deadline, tuple(dependencies), self._make_audit)

    def _complete(self, plan: Plan, now: float, *, at_once: bool) -> Plan:
        """Add what Policies and configurations have to say, as far as it is known already."""
        assert plan.context is not None
        if not at_once:
            demand(list(self._work(plan.parties.service)))
        plan.configs = self._service_configs(plan.parties.service)
        plan.config_rules = plan.configs.rules
        plan.frame = new_frame(plan.context, now=now)
        plan.frame[NOW] = None
        plan.frame[BUDGET] = _STEPS
        try:
            if not plan.open:
                self._attach(plan, now, at_once=at_once)
        except DecisionError as error:
            if not plan.scoped:
                return _failed(plan, str(error))
            plan.problem = str(error)  # scopes are checked before, and they need the request
        self._prune(plan, now)
        plan.own_bytes += DEPENDENCY_BYTES * len(plan.dependencies) + plan.context.own_bytes
        return plan

    def _attach(self, plan: Plan, now: float, *, at_once: bool) -> None:
        triggers = self._compiled_triggers()
        for trigger in triggers:
            plan.deadline = min(plan.deadline, trigger.next_instant(now))
        collection = self._collector.collect(triggers, plan.parties, at_once=at_once)
        plan.shared = collection
        if collection.problem:
            raise DecisionError(collection.problem)
        plan.attachments = Attachments(collection, plan.parties)

    def _prune(self, plan: Plan, now: float) -> None:
        """Settle what the request cannot change, and note what the rest reads."""
        attachments = plan.attachments
        reads = frozenset[Path]() if attachments is None else attachments.reads
        for rule in plan.config_rules:
            reads |= rule.reads
        plan.whole = () in reads
        assert plan.context is not None
        plan.context.narrow(reads)
        if not plan.whole:
            if attachments is not None:
                try:
                    _partially_evaluate(plan, now)
                except DecisionError as error:
                    plan.problem = str(error)
            if not plan.scoped and _settled(plan):
                plan.constant = _constant(plan, now)
                if plan.constant is not None:
                    return
        conditions: Iterable[CompiledCondition] = ()
        if plan.candidates is not None:
            conditions = [rule.condition for rule in plan.candidates]
        elif attachments is not None:
            conditions = attachments.conditions()
        _note_reads(plan, conditions)

    def _service_configs(self, service: ServiceEntry) -> ServiceConfigs:
        known = self._configs.get(service.uid)
        if known is not None and known[0] is service:
            return known[1]
        configs = ServiceConfigs(service)
        self._configs[service.uid] = service, configs
        return configs

    def _compiled_triggers(self) -> tuple[CompiledTrigger, ...]:
        source, triggers = self._triggers
        if source is not self._replica.triggers:
            source = self._replica.triggers
            triggers = tuple(map(CompiledTrigger, source))
            self._triggers = source, triggers
        return triggers

    def _work(self, service: ServiceEntry) -> Iterator[Work]:
        """What there is to compile beside Policies."""
        known = self._configs.get(service.uid)
        if known is None or known[0] is not service:
            yield (
                ("configurations", service.version),
                cost(service.data),
                partial(self._service_configs, service),
            )
        if self._triggers[0] is not self._replica.triggers:
            sources = {trigger.source for trigger in self._replica.triggers}
            total = sum(cost(source.data) for source in sources)
            version = max((source.version for source in sources), default=0)
            yield ("triggers", version), total, self._compiled_triggers


def _failed(plan: Plan, problem: str) -> Plan:
    plan.constant = plan.failed(problem)
    return plan


def _partially_evaluate(plan: Plan, now: float) -> None:
    """Leave of the rules those that may decide, up to the first that does in any case.

    A rule that fails without the request fails with it too, when it is reached.

    Raises:
        DecisionError: a trigger or an enforcement rule failed.
    """
    assert plan.attachments is not None
    try:
        rules = plan.attachments.rules(plan.frame, now)
    except (UnknownDataError, BudgetError):
        return
    frame = plan.frame
    plan.candidates = candidates = []
    for index, rule in enumerate(rules):
        condition = rule.condition
        if condition.only_request:
            candidates.append(rule)
            continue
        frame[ATTRS] = rule.policy.attrs
        try:
            if condition.test(frame):
                plan.otherwise = rule
                return
        except UnknownDataError:
            candidates.append(rule)
        except BudgetError:
            # A rule may afford more once those before it are settled: leave the rest open.
            candidates += rules[index:]
            return
        except EvaluationError:
            candidates.append(rule)
            return


def _constant(plan: Plan, now: float) -> Decision | None:
    """The decision, if it does not depend on the request."""
    try:
        return plan.conclude(plan.frame, now)
    except (UnknownDataError, BudgetError):
        return None
    except (DecisionError, EvaluationError) as error:
        return plan.failed(str(error))


def _settled(plan: Plan) -> bool:
    """Whether the request has no part in which rule decides."""
    return bool(plan.open or plan.problem) or (plan.candidates is not None and not plan.candidates)


def _note_reads(plan: Plan, conditions: Iterable[CompiledCondition]) -> None:
    """Note where what is left looks below `ctx.request`, and whether it looks at the clock."""
    paths: set[Path] = set(scoping.READS) if plan.scoped else set()
    volatile = False
    for condition in conditions:
        paths |= condition.request
        volatile |= condition.volatile
    for rule in plan.config_rules:
        paths |= within_request(rule.reads)
        volatile |= rule.volatile
    plan.volatile = volatile
    plan.reads = tuple(sorted(minimal(paths)))
    plan.ambiguous = ambiguous(plan.reads)
