"""Holding a story against the decision that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.octovigil.explain import checks
from octelium.octovigil.explain.errors import ExplanationError
from octelium.octovigil.explain.evaluation import FALSE
from octelium.policy.cel.program import MAX_STEPS
from octelium.policy.decision import Outcome, ReasonType

if TYPE_CHECKING:
    from octelium.octovigil.explain.trace import Trace
    from octelium.policy.decision import Decision

_TOO_MUCH = "the conditions together take more steps than one decision may"


def check_agreement(told: Trace) -> None:
    """Hold `told` against a decision in the same world, and finish what only that one tells.

    What depends on data that is not known cannot be compared, and is not.

    Raises:
        ExplanationError: they disagree.
    """
    if told.outcome is None:
        return
    decision = told.supposition.decide()
    if decision.outcome is Outcome.BAD_REQUEST:
        told.steps.append(checks.Step(checks.READING, FALSE, decision.error))
        told.outcome, told.error = Outcome.BAD_REQUEST, decision.error
        told.reason, told.config = ReasonType.TYPE_UNKNOWN_REASON, ""
        for rule in told.rules:
            rule.decided = False
        return
    if (told.outcome, told.reason) == (decision.outcome, decision.reason.type):
        _check_details(told, decision)
        return
    evaluator = told.evaluator
    if decision.outcome is Outcome.ERROR and evaluator is not None and evaluator.steps > MAX_STEPS:
        # Each condition by itself is within its means.
        told.steps.append(checks.failed(checks.POLICIES, _TOO_MUCH))
        told.outcome, told.reason = Outcome.ERROR, ReasonType.TYPE_UNKNOWN_REASON
        told.error = decision.error
        for rule in told.rules:
            rule.decided = False
        return
    raise _disagreement(told, decision)


def _check_details(told: Trace, decision: Decision) -> None:
    decided = told.decided
    match = decision.reason.details.get("policyMatch", {})
    if told.reason is ReasonType.POLICY_MATCH:
        if decided is None or match.get("ruleName", "") != decided.rule.name:
            raise _disagreement(told, decision)
        uid = match.get("policy", {}).get("policyRef", {}).get("uid")
        entry = decided.policy.entry
        if uid != (None if entry is None else entry.uid):
            raise _disagreement(told, decision)
    open_ended = told.supposition.unknown
    if told.outcome is Outcome.ALLOWED and told.config != decision.config_name and not open_ended:
        raise _disagreement(told, decision)


def _disagreement(told: Trace, decision: Decision) -> ExplanationError:
    outcome = told.outcome.name if told.outcome else ""
    return ExplanationError(
        f"the explanation of a request to Service {told.parties.service.name} came to {outcome} "
        f"{told.reason.name} {told.error!r}, the decision to {decision.outcome.name} "
        f"{decision.reason} {decision.error!r}"
    )
