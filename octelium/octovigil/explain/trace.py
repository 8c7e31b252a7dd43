"""The walk of one decision, told step by step.

It looks at everything that a decision looks at, in the same order, and evaluates nothing that a
decision would not, save for the parts of conditions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.checks import is_elsewhere
from octelium.octovigil.explain import checks
from octelium.octovigil.explain.checks import Step
from octelium.octovigil.explain.collection import (
    Attached,
    Collecting,
    CollectingError,
    MissingPolicyError,
    RuleTried,
    attached,
    rules_in_order,
)
from octelium.octovigil.explain.configuration import choose
from octelium.octovigil.explain.evaluation import (
    ERROR,
    FALSE,
    TRUE,
    UNKNOWN,
    Evaluator,
)
from octelium.octovigil.triggers import Parties
from octelium.policy.cel.values import normalized
from octelium.policy.context import REQUEST
from octelium.policy.decision import Outcome, ReasonType
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.octovigil.explain.supposition import Supposition
    from octelium.replica.replica import Entry, SessionEntry

_CLIENTLESS: Final = core.SessionStatusType__.CLIENTLESS


@dataclass(eq=False, slots=True)
class Trace:
    """What a walk met. `outcome` is None if it depends on what is not known."""

    supposition: Supposition
    parties: Parties
    outcome: Outcome | None = None
    reason: ReasonType = ReasonType.TYPE_UNKNOWN_REASON
    error: str = ""
    steps: list[Step] = field(default_factory=list)
    policies: Sequence[Attached] = ()
    rules: Sequence[RuleTried] = ()
    config: str = ""
    evaluator: Evaluator | None = None
    missing: tuple[str, str, str] | None = None
    """Kind and name of what does not exist, and the kind that names it."""
    missing_owner: Entry[Any] | None = None
    failing: Attached | None = None
    """The Policy whose trigger or enforcement rule failed."""
    failed_by_trigger: bool = False
    failing_config: int = -1
    """Index of the rule of the dynamic configuration that failed."""

    @property
    def decided(self) -> RuleTried | None:
        """The rule that decided, or failed."""
        return next((rule for rule in self.rules if rule.decided), None)


def trace(supposition: Supposition, *, with_parts: bool = True) -> Trace:
    """Walk through the decision on a supposition. Without parts it costs less."""
    walk = _Walk(supposition, with_parts=with_parts)
    walk.go()
    return walk.trace


class _EndError(Exception):
    """The walk is at its end."""


class _Walk:
    def __init__(self, supposition: Supposition, *, with_parts: bool) -> None:
        self.supposition = supposition
        self.replica = supposition.replica
        self.with_parts = with_parts
        service = supposition.service
        namespace = self.replica.namespaces.get(service.namespace_uid)
        self.trace = Trace(supposition, Parties(service, namespace))

    def go(self) -> None:
        try:
            if self.trace.parties.service.is_anonymous:
                self._anonymous()
            else:
                self._known(self._identify())
        except _EndError:
            return

    # --- who asks

    def _anonymous(self) -> None:
        service, namespace = self.trace.parties.service, self.trace.parties.namespace
        detail = "it is anonymous: nobody is asked who they are"
        self._step(Step("the Service asks for no identity", TRUE, detail))
        self._enabled()
        if not service.enable_anonymous:
            self._step(Step(checks.POLICIES, TRUE, "none are asked for an anonymous Service"))
            self._configure({"service": service}, ReasonType.TYPE_UNKNOWN_REASON)
            return
        if namespace is None:
            self._missing("Namespace", "", f"Service {service.name}", service)
        self._policies({"service": service, "namespace": namespace})

    def _identify(self) -> SessionEntry:
        supposition = self.supposition
        session = supposition.session
        if session is None:
            gone = "its Session does not exist any more" if supposition.session_uid else ""
            self._step(Step(checks.IDENTITY, FALSE, gone or "nobody is known to have sent it"))
            self._end(Outcome.UNAUTHENTICATED)
        assert session is not None
        if session.expires_at <= supposition.now:
            detail = f"Session {session.name} {checks.until(session.expires_at, supposition.now)}"
            self._step(Step(checks.IDENTITY, FALSE, detail))
            self._end(Outcome.UNAUTHENTICATED)
        return session

    def _known(self, session: SessionEntry) -> None:
        parties = self._parties(session)
        self.trace.parties = parties
        self._enabled()
        now = self.supposition.now
        for step in checks.party_checks(parties, now):
            self._step(step)
            if not step.passed:
                self._end(Outcome.DENIED, step.reason)
        self._pinned(session)
        self._scopes()
        self._policies(
            {
                "service": parties.service,
                "namespace": parties.namespace,
                "session": session,
                "user": parties.user,
                "device": parties.device,
            },
            parties.groups,
        )

    def _parties(self, session: SessionEntry) -> Parties:
        service, namespace = self.trace.parties.service, self.trace.parties.namespace
        self.trace.parties = Parties(service, namespace, session)
        user = self.replica.users.get(session.user_uid)
        who = "a User who does not exist" if user is None else f"User {user.name}"
        self._step(Step(checks.IDENTITY, TRUE, f"Session {session.name} of {who}"))
        if namespace is None:
            self._missing("Namespace", "", f"Service {service.name}", service)
        if user is None:
            self._missing("User", "", f"Session {session.name}", session)
        assert user is not None
        device = None
        if session.device_uid:
            device = self.replica.devices.get(session.device_uid)
            if device is None:
                self._missing("Device", "", f"Session {session.name}", session)
        groups = []
        for name in user.groups:
            group = self.replica.groups_by_name.get(name)
            if group is None:
                self._missing("Group", name, f"User {user.name}", user)
            groups.append(group)
        return Parties(service, namespace, session, user, device, [each for each in groups if each])

    def _missing(self, kind: str, name: str, holder: str, owner: Entry[Any]) -> None:
        self.trace.missing, self.trace.missing_owner = (kind, name, owner.kind), owner
        what = f"{kind} {name} of {holder}" if name else f"the {kind} of {holder}"
        self._fail(checks.PARTIES, f"{what} does not exist")

    def _enabled(self) -> None:
        if self.trace.parties.service.is_disabled:
            self._fail(checks.ENABLED, "the Service is disabled")

    # --- before Policies

    def _pinned(self, session: SessionEntry) -> None:
        config = self.replica.cluster_config
        if config is None or not config.use_forwarded_for_header:
            return
        if not self.trace.parties.service.is_public or session.type != _CLIENTLESS:
            return
        if not session.client_address:
            return
        address = self.supposition.client_address
        step = checks.address_check(
            session.client_address, address, same=not is_elsewhere(session.client_address, address)
        )
        self._step(step)
        if not step.passed:
            self._end(Outcome.DENIED)

    def _scopes(self) -> None:
        unknown = self.supposition.unknown
        known = not any(path[:1] in ((), ("grpc",)) for path in unknown)
        step = checks.scope_check(self.trace.parties, self.supposition.request, known=known)
        if step is None:
            return
        self._step(step)
        if step.verdict == UNKNOWN:
            self._end(None)
        if not step.passed:
            self._end(Outcome.DENIED, step.reason)

    # --- Policies

    def _policies(
        self, sources: dict[str, Entry[Any] | None], groups: Sequence[Entry[Any]] = ()
    ) -> None:
        evaluator = self._evaluator(sources, groups)
        collecting = Collecting(evaluator, self.trace.parties, self.supposition.now)
        try:
            self.trace.policies = attached(self.replica, self.trace.parties)
            collecting.settle(self.trace.policies)
        except MissingPolicyError as error:
            self.trace.missing = ("Policy", error.name, error.owner.kind)
            self.trace.missing_owner = error.owner
            self._fail(checks.POLICIES, str(error))
        except CollectingError as error:
            self.trace.failing = error.policy
            self.trace.failed_by_trigger = error.by_trigger
            self._fail(checks.POLICIES, str(error))
        self.trace.rules = rules_in_order(self.trace.policies)
        depends = self._try(evaluator, depends=collecting.depends)
        decided = self.trace.decided
        if depends:
            self._step(Step(checks.POLICIES, UNKNOWN, "it depends on what is not known"))
            self._end(None)
        if decided is None:
            self._step(
                Step(checks.POLICIES, FALSE, "no rule matches, and what no rule allows is refused")
            )
            self._end(Outcome.DENIED, ReasonType.NO_POLICY_MATCH)
        assert decided is not None
        if decided.result.verdict == ERROR:
            self._fail(checks.POLICIES, f"{place(decided)}: {decided.result.error}")
        verb = "allows" if decided.allows else "denies"
        self._step(
            Step(checks.POLICIES, TRUE if decided.allows else FALSE, f"{place(decided)} {verb}")
        )
        if not decided.allows:
            self._end(Outcome.DENIED, ReasonType.POLICY_MATCH)
        self._configure(sources, ReasonType.POLICY_MATCH, evaluator)

    def _try(self, evaluator: Evaluator, *, depends: bool) -> bool:
        """Try the rules up to the one that decides; whether what is not known decides instead."""
        for tried in self.trace.rules:
            attrs = tried.policy.attrs
            tried.result = evaluator.result(tried.rule.condition, attrs)
            if self.with_parts:
                tried.parts = evaluator.parts(tried.rule.condition, attrs)
            if tried.result.verdict == UNKNOWN:
                depends = True
            elif tried.result.verdict != FALSE:
                tried.decided = not depends
                break
        return depends

    # --- configuration

    def _configure(
        self,
        sources: dict[str, Entry[Any] | None],
        reason: ReasonType,
        evaluator: Evaluator | None = None,
    ) -> None:
        chosen = choose(self.trace.parties.service, evaluator or self._evaluator(sources, ()))
        if chosen.verdict == ERROR:
            self.trace.failing_config = chosen.failing
            self._fail(checks.CONFIGURATION, chosen.detail)
        self.trace.config = chosen.name
        self._step(Step(checks.CONFIGURATION, chosen.verdict, chosen.detail))
        self._end(Outcome.ALLOWED, reason)

    # --- how it ends

    def _evaluator(
        self, sources: dict[str, Entry[Any] | None], groups: Sequence[Entry[Any]]
    ) -> Evaluator:
        ctx: dict[str, Any] = {
            name: normalized(entry.json) for name, entry in sources.items() if entry is not None
        }
        if groups:
            ctx["groups"] = [normalized(group.json) for group in groups]
        request = self.supposition.request
        if request is not None:
            ctx[REQUEST] = request
        unknown = frozenset((REQUEST, *path) for path in self.supposition.unknown)
        supposition = self.supposition
        evaluator = Evaluator(ctx, supposition.now, unknown, supposition.modules)
        self.trace.evaluator = evaluator
        return evaluator

    def _step(self, step: Step) -> None:
        self.trace.steps.append(step)

    def _fail(self, name: str, problem: str) -> None:
        self._step(checks.failed(name, problem))
        self.trace.error = problem
        self._end(Outcome.ERROR)

    def _end(
        self, outcome: Outcome | None, reason: ReasonType = ReasonType.TYPE_UNKNOWN_REASON
    ) -> None:
        self.trace.outcome, self.trace.reason = outcome, reason
        raise _EndError


def place(tried: RuleTried) -> str:
    """What a rule is called, where it stands."""
    name = f"rule {tried.rule.name}" if tried.rule.name else f"rule {tried.index + 1}"
    return f"{name} of {tried.policy.place}"
