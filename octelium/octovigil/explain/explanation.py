"""An inquiry in, an explanation out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain import checks
from octelium.octovigil.explain.agreement import check_agreement
from octelium.octovigil.explain.change import find_change as search
from octelium.octovigil.explain.evaluation import FALSE, flow
from octelium.octovigil.explain.summary import summary
from octelium.octovigil.explain.supposing import suppose
from octelium.octovigil.explain.trace import Trace, trace
from octelium.policy.cel.unparse import escaped
from octelium.policy.decision import Outcome
from octelium.schema.modes import SERVED_MODES, not_served
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.octovigil.explain.collection import Attached, EnforcementTried, RuleTried
    from octelium.octovigil.explain.supposition import Supposition
    from octelium.octovigil.inquiry import Inquiry
    from octelium.policy.cel.parts import Part
    from octelium.policy.rego.needed import Resolver
    from octelium.replica.replica import Entry, Replica

DEPENDS: Final = "DEPENDS"
"""The outcome if what is not known decides."""

_MAX_ASKED: Final = 200
"""Characters of a request that are shown."""


def explain(
    replica: Replica,
    inquiry: Inquiry,
    *,
    find_change: bool = False,
    clock: Callable[[], float] = time.time,
    rego: Resolver | None = None,
) -> ext.Explanation:
    """Why a request is decided as it is and, with `find_change`, what would turn that round.

    `replica` must stand still meanwhile: give a fork if this runs in a thread beside the live one.
    `clock` gives Unix seconds; `rego` gets the results of Rego modules, and may wait for them.

    Raises:
        InquiryError: the inquiry names what does not exist, or contradicts itself.
        ExplanationError: the story does not agree with the decision; it must not be told.
    """
    supposition = suppose(replica, inquiry, clock(), rego)
    if inquiry.refusal:
        return _assembled(_unread(supposition, inquiry.refusal))
    return explain_supposition(supposition, find_change=find_change)


def explain_supposition(supposition: Supposition, *, find_change: bool = False) -> ext.Explanation:
    """As `explain`, of a world that is at hand."""
    told = trace(supposition)
    check_agreement(told)
    explanation = _assembled(told)
    if find_change:
        _add_change(explanation, told)
    return explanation


def _unread(supposition: Supposition, problem: str) -> Trace:
    """The story of a request that is refused before anything is decided."""
    parties = trace(supposition, with_parts=False).parties
    step = checks.Step(checks.READING, FALSE, problem)
    return Trace(supposition, parties, Outcome.BAD_REQUEST, error=problem, steps=[step])


def _add_change(explanation: ext.Explanation, told: Trace) -> None:
    if told.outcome is None:
        explanation.notes.append("No change is looked for while the outcome is not known.")
        return
    found = search(told.supposition)
    if found is None:
        explanation.notes.append("No sufficient change was found.")
        return
    explanation.change.outcome = found.decision.outcome.name
    explanation.change.remark = escaped(found.opened.remark())
    explanation.change.edits.extend(edit.message() for edit in found.edits)


def _assembled(told: Trace) -> ext.Explanation:
    parties = told.parties
    explanation = ext.Explanation(
        outcome=DEPENDS if told.outcome is None else told.outcome.name,
        reason=told.reason.name if told.reason else "",
        summary=escaped(summary(told)) + _but(told),
        error=escaped(told.error),
        steps=[
            ext.ExplainedStep(name=step.name, verdict=step.verdict, detail=escaped(step.detail))
            for step in told.steps
        ],
        config=told.config,
        asked=escaped(_asked(told.supposition.request)),
        notes=_notes(told),
    )
    explanation.at.FromMilliseconds(int(told.supposition.now * 1000))
    for name in ("service", "session", "user", "device"):
        entry = getattr(parties, name)
        if entry is not None:
            getattr(explanation, name).CopyFrom(reference(entry))
    positions: dict[int, int] = {}
    for index, policy in enumerate(told.policies):
        positions[id(policy)] = index
        explanation.policies.append(_policy(policy, index))
    explanation.rules.extend(_rule(rule, positions[id(rule.policy)]) for rule in told.rules)
    return explanation


def _asked(request: Mapping[str, Any] | None) -> str:
    """A request in a few words, such as `GET /admin`."""
    kind = next((name for name in request or () if name != "ip"), "")
    part = (request or {}).get(kind)
    if not isinstance(part, dict):
        return kind
    if kind == "grpc" and part.get("serviceFullName"):
        text = f"{part['serviceFullName']}/{part.get('method', '')}"
    else:
        http = part if kind == "http" else part.get("http")
        if not isinstance(http, dict):
            return kind
        text = f"{http.get('method', '')} {http.get('uri') or http.get('path', '')}".strip()
    return text if len(text) <= _MAX_ASKED else f"{text[:_MAX_ASKED]}…"


def reference(entry: Entry[Any]) -> meta.ObjectReference:
    """The reference to the version of the resource in `entry`."""
    return meta.ObjectReference(
        api_version="core/v1",
        kind=entry.kind,
        uid=entry.uid,
        name=entry.name,
        resource_version=entry.message.metadata.resource_version,
    )


def _policy(policy: Attached, index: int) -> ext.ExplainedPolicy:
    made = ext.ExplainedPolicy(
        place=policy.place,
        owner=reference(policy.owner),
        inherited_from=policy.inherited_from,
        applies=policy.applies,
        why_not=policy.why_not,
        enforcement=[_enforcement(tried, index) for tried in policy.enforcement],
    )
    if policy.entry is not None:
        made.policy.CopyFrom(reference(policy.entry))
    return made


def _enforcement(tried: EnforcementTried, policy: int) -> ext.ExplainedRule:
    return ext.ExplainedRule(
        policy=policy,
        index=tried.index,
        effect="ENFORCE" if tried.enforces else "IGNORE",
        condition=flow(tried.condition),
        decided=tried.decided,
        parts=_parts(tried.parts),
        verdict=tried.result.verdict,
        error=escaped(tried.result.error),
    )


def _rule(tried: RuleTried, policy: int) -> ext.ExplainedRule:
    rule = tried.rule
    return ext.ExplainedRule(
        policy=policy,
        index=tried.index,
        name=rule.name,
        effect=core.PolicySpecRuleEffect__.PolicySpecRuleEffect.Name(rule.effect),
        priority=rule.priority,
        condition=flow(rule.condition),
        decided=tried.decided,
        parts=_parts(tried.parts),
        verdict=tried.result.verdict,
        error=escaped(tried.result.error),
    )


def _parts(parts: Iterable[Part]) -> list[ext.ExplainedPart]:
    return [
        ext.ExplainedPart(
            text=part.text,
            value=part.value,
            error=part.error,
            depth=part.depth,
            reads=sorted(part.reads),
        )
        for part in parts
    ]


def _unserved(told: Trace) -> str:
    """Why no request gets as far as a decision; empty if they do."""
    service = told.parties.service
    if service is None or service.message.spec.mode in SERVED_MODES:
        return ""
    return f"{not_served(service.message.spec.mode)}: every request is refused"


def _but(told: Trace) -> str:
    """What the summary has to add to an answer that is of no use."""
    unserved = _unserved(told)
    if not unserved or told.outcome not in (None, Outcome.ALLOWED):
        return ""
    return f" Yet {unserved}."


def _notes(told: Trace) -> list[str]:
    supposition = told.supposition
    notes = []
    if unserved := _unserved(told):
        notes.append(f"This is what Policies say, but {unserved}.")
    for entry in (told.parties.session, told.parties.device):
        if entry is None or entry.uid not in supposition.supposed:
            continue
        if entry.uid in supposition.invented:
            notes.append(f"{entry.kind} {entry.name} is supposed: it stands for a new one.")
        else:
            notes.append(f"{entry.kind} {entry.name} is supposed to be other than it is.")
    if supposition.unknown:
        names = ", ".join(
            ".".join(("ctx", "request", *path)) for path in sorted(supposition.unknown)
        )
        notes.append(f"Not known of this request: {names}.")
    return notes
