"""What a Cluster tells about its resources and decisions, as lines of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.cli.ages import clock_time
from octelium.cli.containers import container_lines
from octelium.cli.describe import description
from octelium.cli.policy.accesses import conditions, subject_of, verdict_of
from octelium.client import insight
from octelium.client.containers import states_of
from octelium.client.relations import Neighbourhood, users_of
from octelium.policy import narration
from octelium.schema.documents import dump_yaml
from octelium.schema.jsonform import to_json
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.tui.lines import Line, Tone, section, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octelium.cli.containers import Mood, Told
    from octelium.client.api import Authorized
    from octelium.client.resources import Resources
    from octelium.schema.kinds import Kind

_TONES: Final = {
    narration.Tone.PLAIN: Tone.PLAIN,
    narration.Tone.HEADING: Tone.HEADING,
    narration.Tone.GOOD: Tone.GOOD,
    narration.Tone.BAD: Tone.BAD,
    narration.Tone.DIM: Tone.DIM,
}
_VERDICTS: Final = {"allowed": Tone.GOOD, "refused": Tone.BAD, "depends": Tone.WARN}
_MOODS: Final[Mapping[Mood, Tone]] = {
    "plain": Tone.PLAIN,
    "good": Tone.GOOD,
    "wait": Tone.WARN,
    "bad": Tone.BAD,
}
_OUTCOMES: Final = {"ok": Tone.GOOD, "warn": Tone.WARN, "fail": Tone.BAD, "skipped": Tone.DIM}


def describe(
    resources: Resources, service: Authorized, domain: str, kind: Kind, name: str, now: float
) -> list[Line]:
    """A resource with what belongs to it; `service` is `octelium.ext.v1`. Raises ApiError."""
    item = resources.get(kind, name)
    around = Neighbourhood(resources, domain)
    found: list[Told] = []
    if kind.name == "Service":
        reply = states_of(service, item, around.hidden)
        found = [] if reply is None else container_lines(reply, now, item)
    moods: dict[str, Mood] = dict(found)
    containers = [line.text for line in found]
    lines = []
    for text in description(kind, item, around.of(kind, item), now, containers):
        is_title = text.endswith(":") and not text.startswith(" ")
        lines += told(text, Tone.HEADING if is_title else _MOODS[moods.get(text, "plain")])
    if around.hidden:
        hidden = ", ".join(dict.fromkeys(around.hidden))
        lines += section("Left out, since you may not list them", [hidden], Tone.DIM)
    return lines


def yaml(item: Any) -> list[Line]:
    """A message as YAML."""
    return told(dump_yaml([item]).rstrip("\n"))


def used_by(resources: Resources, domain: str, kind: Kind, name: str) -> list[Line]:
    """What refers to a resource. Raises ApiError."""
    around = Neighbourhood(resources, domain)
    users: dict[str, list[str]] = {}
    for other, user in users_of(around, kind, name):
        users.setdefault(other, []).append(user)
    lines = told(f"What uses {kind.name} {name}", Tone.HEADING)
    if not users:
        lines += told("  Nothing that you may list.", Tone.DIM)
    for other, names in users.items():
        lines += section(f"{other} ({len(names)})", names)
    if around.hidden:
        hidden = ", ".join(dict.fromkeys(around.hidden))
        lines += section("Left out, since you may not list them", [hidden], Tone.DIM)
    return lines


def explain(service: Authorized, log_id: str) -> list[Line]:
    """Why a logged request was decided as it was, and what would turn it round. Raises ApiError."""
    request = ext.ExplainRequest(log_id=log_id, find_change=True)
    lines = []
    for line in narration.narrate(insight.explain(service, request)):
        lines += told(f"{'  ' * line.indent}{line.text}", _TONES[line.tone])
    return lines


def access(service: Authorized, *, user: str = "", target: str = "") -> list[Line]:
    """Who may open a Service, or what a User may open. Raises ApiError."""
    reply = insight.list_access(service, user=user, target=target)
    title = f"Which Users may open {target}" if target else f"What {user} may open"
    lines = [*told(title, Tone.HEADING), Line("")]
    for one in reply.items:
        verdict = verdict_of(one)
        name = subject_of(one, "user" if target else "service")
        lines += told(f"{verdict:8} {name}", _VERDICTS.get(verdict, Tone.PLAIN))
        lines += told(f"         {one.why or '-'}", Tone.DIM)
        for text in conditions("if", one.depends_on):
            lines += told(f"         {text}", Tone.ACCENT)
    if not reply.items:
        lines += told("Nobody." if target else "Nothing.", Tone.DIM)
    return lines + section("Notes", reply.notes, Tone.DIM)


def attempt(entry: ext.AuthenticationLogEntry) -> list[Line]:
    """One entry of the authentication log."""
    lines = told(f"{entry.way}: {entry.outcome}", Tone.HEADING)
    for key, value in to_json(entry).items():
        text = value.get("name", "") if isinstance(value, dict) else str(value)
        lines += told(f"  {key + ':':<18} {text}")
    return lines


def health(service: Authorized) -> list[Line]:
    """What works in the Cluster, part by part; sends traffic through it. Raises ApiError."""
    reply: ext.DiagnoseResponse = service.call("Diagnose", ext.DiagnoseRequest(), deadline=60.0)
    return parts(reply.parts)


def parts(found: Sequence[ext.DiagnosedPart]) -> list[Line]:
    """The parts of a diagnosis, those that do not work first."""
    order = ("fail", "warn", "ok", "skipped")
    known = sorted(
        found, key=lambda part: order.index(part.outcome) if part.outcome in order else 0
    )
    lines: list[Line] = []
    for part in known:
        tone = _OUTCOMES.get(part.outcome, Tone.PLAIN)
        lines += told(f"{part.outcome:7} {part.name}: {part.detail}", tone)
        if part.remedy:
            lines += told(f"        {part.remedy}", Tone.PLAIN)
    return lines


def status(reply: Any) -> list[Line]:
    """Who one is, as GetStatus tells."""
    user, session = reply.user, reply.session
    rows = [
        ("Cluster", reply.domain),
        ("User", user.metadata.name),
        ("E-mail", user.spec.email),
        ("Session", session.metadata.name),
        ("Since", clock_time(session.metadata.created_at) if session.metadata.name else ""),
        ("Connected", "yes" if session.status.is_connected else "no"),
    ]
    return [line for key, text in rows if text for line in told(f"{key + ':':<12}{text}")]


def token(made: Any) -> list[Line]:
    """A token that was made, of whichever kind."""
    chosen = made.WhichOneof("type")
    lines = [*told("Keep it now: it is not shown again.", Tone.WARN), Line("")]
    for field, value in getattr(made, chosen).ListFields() if chosen else ():
        lines += [*told(f"{field.name.replace('_', ' ')}:", Tone.HEADING), *told(str(value))]
    return lines
