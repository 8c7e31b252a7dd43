"""Explanations as text: the one form that the command line, the page and the log share.

Lines are on their own, with a level and a tone that a medium may turn into colour or not. Every
text in them is shown as it is safe to show on a terminal: what cannot be seen stands as an escape.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

from octelium.policy.cel.unparse import escaped
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_NOT_TRIED: Final = 10
"""Rules after the one that decided that are listed."""

_MAX_DEPTH: Final = 64
"""Levels by which parts are indented."""
_MAX_LINES: Final = 20_000
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999, where calendars and protobuf end."""

_HIDDEN: Final = "that you may not read"
_TRUE: Final = ext.Verdict__.TRUE
_FALSE: Final = ext.Verdict__.FALSE
_ERROR: Final = ext.Verdict__.ERROR
_NOT_TRIED: Final = ext.Verdict__.NOT_TRIED

_MARKS: Final = {_TRUE: "✓", _FALSE: "✗", _ERROR: "!", _NOT_TRIED: "·"}
_RESULTS: Final = {
    _TRUE: "holds",
    _FALSE: "does not hold",
    _ERROR: "fails",
    _NOT_TRIED: "not tried",
}
_UNKNOWN_MARK: Final = "?"
_UNKNOWN_RESULT: Final = "depends on what is not known"


class Tone(Enum):
    """How a line is meant."""

    PLAIN = "plain"
    HEADING = "heading"
    GOOD = "good"
    BAD = "bad"
    DIM = "dim"


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `indent` counts levels. An empty text separates."""

    indent: int
    text: str
    tone: Tone = Tone.PLAIN


def text(explanation: ext.Explanation) -> str:
    """The narration as plain text, two spaces a level, with a newline at the end."""
    lines = (f"{'  ' * line.indent}{line.text}" for line in narrate(explanation))
    return "".join(f"{line}\n" for line in lines)


def narrate(explanation: ext.Explanation) -> list[Line]:
    """An explanation in lines, from the sentence that sums it up to the notes."""
    allowed = explanation.outcome == "ALLOWED"
    tone = Tone.GOOD if allowed else Tone.BAD
    if explanation.outcome == "DEPENDS":
        tone = Tone.PLAIN
    lines = [Line(0, explanation.summary, tone), Line(0, _request(explanation), Tone.DIM)]
    for heading, section in (
        ("", _change(explanation)),
        ("Steps", _steps(explanation)),
        ("Policies, in the order of collection", _policies(explanation)),
        ("Rules, in the order in which they are tried", _rules(explanation)),
        ("Notes", _notes(explanation)),
    ):
        body = list(islice(section, _MAX_LINES))
        if len(body) == _MAX_LINES:
            body.append(Line(1, "and more", Tone.DIM))
        if body:
            lines.append(Line(0, ""))
            if heading:
                lines.append(Line(0, heading, Tone.HEADING))
            lines += body
    return [Line(line.indent, escaped(line.text), line.tone) for line in lines]


def _request(explanation: ext.Explanation) -> str:
    user, session = explanation.user.name, explanation.session.name
    who = f"User {user}" if user else "somebody" if session else "nobody"
    if session:
        who += f" (Session {session})"
    service = f"Service {explanation.service.name}" if explanation.service.name else "a Service"
    asked = f"Request {explanation.asked}" if explanation.asked else "Request"
    return f"{asked} of {who} to {service} at {_moment(explanation.at.seconds)}"


def _moment(seconds: int) -> str:
    """A time of day; another Cluster's number is shown as it is if it can be none."""
    if not 0 <= seconds <= _LAST_SECOND:
        return f"second {seconds}"
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _steps(explanation: ext.Explanation) -> Iterator[Line]:
    for step in explanation.steps:
        mark = _MARKS.get(step.verdict, _UNKNOWN_MARK)
        detail = f": {step.detail}" if step.detail else ""
        tone = Tone.PLAIN if step.verdict == _TRUE else Tone.BAD
        if step.verdict == ext.Verdict__.VERDICT_UNKNOWN:
            tone = Tone.PLAIN
        yield Line(1, f"{mark} {step.name}{detail}", tone)


def _policies(explanation: ext.Explanation) -> Iterator[Line]:
    for policy in explanation.policies:
        if policy.hidden:
            yield Line(1, f"Policies {_HIDDEN}", Tone.DIM)
            continue
        where = ""
        if policy.policy.name:
            where = f", attached to {policy.owner.kind} {policy.owner.name}"
        if policy.inherited_from:
            where += f" through Policy {policy.inherited_from}"
        if policy.applies:
            yield Line(1, f"{policy.place}{where}")
        else:
            why = f": {policy.why_not}" if policy.why_not else ""
            yield Line(1, f"{policy.place}{where}, does not apply{why}", Tone.DIM)
        for rule in policy.enforcement:
            yield from _rule(rule, f"enforcement rule {rule.index + 1}, {rule.effect}", 2)


def _rules(explanation: ext.Explanation) -> Iterator[Line]:
    untold = 0
    for number, rule in enumerate(explanation.rules, start=1):
        if rule.verdict == _NOT_TRIED and number > _MAX_NOT_TRIED:
            untold += 1
            continue
        if rule.hidden:
            yield Line(1, f"{number}. a rule {_HIDDEN}{_result(rule)}", _tone(rule))
            continue
        known = rule.policy < len(explanation.policies)
        place = explanation.policies[rule.policy].place if known else "a Policy"
        priority = f", priority {rule.priority}" if rule.priority else ""
        name = f"rule {rule.name or rule.index + 1}"
        yield from _rule(rule, f"{number}. {rule.effect}{priority}, {name} of {place}", 1)
    if untold:
        yield Line(1, f"and {untold} more that are not tried", Tone.DIM)


def _rule(rule: ext.ExplainedRule, title: str, indent: int) -> Iterator[Line]:
    yield Line(indent, f"{title}{_result(rule)}", _tone(rule))
    quiet = Tone.DIM if rule.verdict == _NOT_TRIED else Tone.PLAIN
    yield Line(indent + 1, rule.condition, quiet)
    for part in rule.parts:
        value = part.value or part.error
        yield Line(indent + 2 + min(part.depth, _MAX_DEPTH), f"{part.text}  →  {value}", Tone.DIM)


def _result(rule: ext.ExplainedRule) -> str:
    result = _RESULTS.get(rule.verdict, _UNKNOWN_RESULT)
    if rule.error:
        result += f", {rule.error}"
    return f": {result}, and decides" if rule.decided else f": {result}"


def _tone(rule: ext.ExplainedRule) -> Tone:
    if rule.verdict == _ERROR:
        return Tone.BAD
    if not rule.decided:
        return Tone.DIM if rule.verdict in (_FALSE, _NOT_TRIED) else Tone.PLAIN
    return Tone.GOOD if rule.effect in ("ALLOW", "ENFORCE") else Tone.BAD


def _change(explanation: ext.Explanation) -> Iterator[Line]:
    if not explanation.HasField("change"):
        return
    verb = "allow" if explanation.change.outcome == "ALLOWED" else "refuse"
    together = " together" if len(explanation.change.edits) > 1 else ""
    yield Line(0, f"What would{together} {verb} it", Tone.HEADING)
    for edit in explanation.change.edits:
        yield Line(1, edit.text)
    if explanation.change.remark:
        yield Line(1, explanation.change.remark, Tone.DIM)


def _notes(explanation: ext.Explanation) -> Iterator[Line]:
    for note in explanation.notes:
        yield Line(1, note, Tone.DIM)
    if explanation.hidden:
        yield Line(1, "Something is left out that you may not read.", Tone.DIM)
