"""What a pair of Service and Session has to decide per request, and the decisions it remembers.

Most of a decision does not depend on the request: who asks, for what, under which Policies. That
part is worked out once per plan. What remains are the conditions that read the request; decisions
are remembered by the values at the paths they read, so that a repeated request costs one look-up.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from octelium.octovigil import scoping
from octelium.octovigil.checks import is_elsewhere
from octelium.octovigil.errors import DecisionError
from octelium.policy.cel.errors import BudgetError, EvaluationError, UnknownDataError
from octelium.policy.cel.program import MAX_STEPS
from octelium.policy.cel.values import ATTRS, BUDGET, CTX, NOW, REGO, SECOND, Frame, Timestamp
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.policy.observation import key_of, observe
from octelium.policy.rego.needed import RegoNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.octovigil.attachments import Attachments, Collection, Dependency
    from octelium.octovigil.configs import ConfigRule, Selection, ServiceConfigs
    from octelium.octovigil.policies import Rule
    from octelium.octovigil.triggers import Parties
    from octelium.octovigil.watch import StreamWatch
    from octelium.policy.context import Context
    from octelium.policy.observation import Part
    from octelium.policy.rego.needed import RegoResults
    from octelium.policy.request import Path, Request

_LOG = logging.getLogger(__name__)

Key = tuple[str, str]
"""Uids of a Service and a Session, the latter empty where there is none."""

PLAN_BYTES: Final = 3000
"""About what a plan takes without its dependencies and the decisions it remembers."""
DEPENDENCY_BYTES: Final = 80
_ENTRY_BYTES: Final = 160
_DECISION_BYTES: Final = 900
_MAX_FAILURES: Final = 32
_MAX_MADE: Final = 256


@dataclass(slots=True, eq=False)
class Plan:
    """The part of a decision that holds for all requests of one Session to one Service.

    `deadline` is the first instant (Unix seconds) at which the passing of time may change it.
    """

    key: Key
    parties: Parties
    anonymous: bool
    deadline: float
    dependencies: tuple[Dependency, ...]
    make_audit: Callable[[Decision], object]
    shared: Collection | None = None
    """What the plan depends on too, together with others."""
    constant: Decision | None = None
    """The decision, if no request can change it."""
    pinned: str = ""
    """The address from which alone the Session may be used, if the client's is known."""
    scoped: bool = False
    """Scopes cover some calls of the Service and not others."""
    open: bool = False
    """No Policies are asked."""
    problem: str = ""
    """Why Policies cannot be asked."""
    whole: bool = False
    """Some condition looks at all of `ctx`."""
    volatile: bool = False
    """Some condition looks at the clock: nothing is remembered."""
    reads: tuple[Path, ...] = ()
    """What conditions read below `ctx.request`."""
    ambiguous: tuple[Path, ...] = ()
    """Those of `reads` that a request may hold more than once, or write in two ways."""
    context: Context | None = None
    frame: Frame = field(default_factory=list)
    attachments: Attachments | None = None
    candidates: Sequence[Rule] | None = None
    """The rules that may decide, in order; None if the request chooses which Policies apply."""
    otherwise: Rule | None = None
    """The rule that decides if no candidate does: it holds whatever the request is."""
    configs: ServiceConfigs | None = None
    config_rules: Sequence[ConfigRule] = ()
    table: dict[tuple[Part, ...], Decision] = field(default_factory=dict)
    own_bytes: int = PLAN_BYTES
    """About what the plan takes without the decisions it remembers."""
    remembered_bytes: int = 0
    asked: bool = False
    """Since the memo last looked for plans to drop."""
    watches: set[StreamWatch] = field(default_factory=set)
    on_growth: Callable[[Plan, int], None] | None = None
    _made: dict[tuple[object, ...], Decision] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """About what the plan takes, with what it remembers."""
        return self.own_bytes + self.remembered_bytes

    def decide(self, request: Request, now: float, rego: RegoResults | None = None) -> Decision:
        """The decision on `request` at `now`, which is before the deadline.

        `rego` are results of modules that an earlier attempt asked for.

        Raises:
            RegoNeeded: it takes the result of a module that others have to evaluate.
        """
        self.asked = True
        if self.pinned and is_elsewhere(self.pinned, request.client_address):
            return self.refused(Reason(ReasonType.TYPE_UNKNOWN_REASON))
        if self.constant is not None:
            return self.constant
        for path in self.ambiguous:
            if request.repeated(path):
                return self._ambiguous(path)
        if self.volatile:
            return self._evaluate(request, now, rego)
        try:
            key = key_of(request, self.reads)
        except EvaluationError as error:
            return self.failed(str(error))
        decision = self.table.get(key)
        if decision is None:
            decision = self._evaluate(request, now, rego)
            if rego is None or not rego.transient:
                self._remember(key, decision)
        return decision

    def _remember(self, key: tuple[Part, ...], decision: Decision) -> None:
        self.table[key] = decision
        self._grow(_ENTRY_BYTES + sum(map(sys.getsizeof, key)))

    def _grow(self, size: int) -> None:
        self.remembered_bytes += size
        if self.on_growth is not None:
            self.on_growth(self, size)

    def forget(self) -> int:
        """Drop the remembered decisions; the number of bytes that this frees."""
        self.table.clear()
        self._made.clear()
        freed, self.remembered_bytes = self.remembered_bytes, 0
        return freed

    def stands_by(self, decision: Decision) -> bool:
        """Whether the plan made a decision, and would not need to make it again."""
        return decision is self.constant or any(made is decision for made in self._made.values())

    # --- evaluation

    def _evaluate(self, request: Request, now: float, rego: RegoResults | None) -> Decision:
        context, frame = self.context, self.frame
        assert context is not None
        try:
            observed = observe(request, self.reads)
            context.set_request(observed)
            frame[CTX] = context.full() if self.whole else context
            frame[BUDGET] = MAX_STEPS
            frame[NOW] = Timestamp(int(now * SECOND))
            frame[REGO] = rego
            if self.scoped and not scoping.covers_call(self.parties, observed):
                return self.refused(Reason(ReasonType.SCOPE_UNAUTHORIZED))
            return self.conclude(frame, now)
        except RegoNeeded as needed:
            user = self.parties.user
            needed.results.asker = request.client_address if user is None else user.uid
            raise
        except (DecisionError, EvaluationError) as error:
            return self.failed(str(error))
        except Exception:  # noqa: BLE001 - whatever it is, it refuses
            _LOG.exception("a decision on Service %s failed", self.parties.service.name)
            return self.failed("unexpected error, see the log")
        finally:
            context.forget_request()
            frame[CTX] = context
            frame[REGO] = None

    def conclude(self, frame: Frame, now: float) -> Decision:
        """Try the rules and select the configuration, on a frame.

        Raises:
            UnknownDataError: the outcome depends on the request, which is not known yet.
            DecisionError, EvaluationError: the decision failed.
        """
        if self.problem:
            raise DecisionError(self.problem)
        rule = None
        if not self.open:
            rule = self._first(frame, now)
            if rule is None:
                return self.refused(Reason(ReasonType.NO_POLICY_MATCH))
            if not rule.allows:
                return self._denied(rule)
        assert self.configs is not None
        return self._allowed(rule, self.configs.select(self.config_rules, frame))

    def _first(self, frame: Frame, now: float) -> Rule | None:
        candidates = self.candidates
        if candidates is None:
            assert self.attachments is not None
            candidates = self.attachments.rules(frame, now)
        for rule in candidates:
            if holds(rule, frame):
                return rule
        return self.otherwise

    # --- decisions

    def _allowed(self, rule: Rule | None, selection: Selection) -> Decision:
        key = (rule, selection)
        decision = self._made.get(key)
        if decision is None:
            reason = Reason(ReasonType.TYPE_UNKNOWN_REASON) if rule is None else rule.reason
            decision = self._keep(key, Outcome.ALLOWED, reason, selection)
        return decision

    def _denied(self, rule: Rule) -> Decision:
        decision = self._made.get((rule,))
        if decision is None:
            decision = self._keep((rule,), Outcome.DENIED, rule.reason)
        return decision

    def refused(self, reason: Reason) -> Decision:
        """A refusal of somebody known, or of somebody anonymous under Policies."""
        key = (reason.type, repr(reason.details))
        return self._made.get(key) or self._keep(key, Outcome.DENIED, reason)

    def unauthenticated(self) -> Decision:
        """A refusal of somebody unknown."""
        key = (Outcome.UNAUTHENTICATED,)
        reason = Reason(ReasonType.TYPE_UNKNOWN_REASON)
        return self._made.get(key) or self._keep(key, Outcome.UNAUTHENTICATED, reason)

    def failed(self, problem: str) -> Decision:
        """A refusal because the decision cannot be made."""
        key = (Outcome.ERROR, problem)
        decision = self._made.get(key)
        if decision is None:
            _LOG.warning("no decision on Service %s: %s", self.parties.service.name, problem)
            if sum(known[0] is Outcome.ERROR for known in self._made) >= _MAX_FAILURES:
                key = (Outcome.ERROR, "")
            reason = Reason(ReasonType.TYPE_UNKNOWN_REASON)
            decision = self._keep(key, Outcome.ERROR, reason, error=problem)
        return decision

    def _ambiguous(self, path: Path) -> Decision:
        key = (Outcome.BAD_REQUEST, path)
        decision = self._made.get(key)
        if decision is None:
            where = ".".join(("ctx", "request", *path))
            problem = f"a condition reads {where}, which this request leaves open to two readings"
            reason = Reason(ReasonType.TYPE_UNKNOWN_REASON)
            decision = self._keep(key, Outcome.BAD_REQUEST, reason, error=problem)
        return decision

    def _keep(
        self,
        key: tuple[object, ...],
        outcome: Outcome,
        reason: Reason,
        selection: Selection | None = None,
        *,
        error: str = "",
    ) -> Decision:
        parties = self.parties
        decision = Decision(
            outcome,
            reason,
            parties.service,
            namespace=parties.namespace,
            session=parties.session,
            user=parties.user,
            device=parties.device,
            groups=tuple(parties.groups),
            config=None if selection is None else selection.config,
            config_name="" if selection is None else selection.name,
            expires=0.0 if self.volatile else self.deadline,
            error=error,
        )
        decision.audited(self.make_audit)
        if len(self._made) >= _MAX_MADE:
            self._made.clear()
            self._grow(-_DECISION_BYTES * _MAX_MADE)
        self._made[key] = decision
        self._grow(_DECISION_BYTES)
        return decision


def holds(rule: Rule, frame: Frame) -> bool:
    """Whether the condition of a rule holds on a frame.

    Raises:
        EvaluationError: it failed; UnknownDataError as it is, others with the rule's place.
    """
    frame[ATTRS] = rule.policy.attrs
    try:
        return rule.condition.test(frame)
    except (UnknownDataError, BudgetError):
        raise
    except EvaluationError as error:
        raise EvaluationError(f"{rule.place}: {error}") from None
