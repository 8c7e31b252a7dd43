"""The containers of a Service for reading: how each is, and what Kubernetes tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from octelium.cli.ages import age
from octelium.cli.inert import inert
from octelium.schema.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.schema.pb import container_v1_pb2 as container
    from octelium.schema.pb import ext_v1_pb2 as ext

Mood = Literal["plain", "good", "wait", "bad"]
_WIDTH: Final = 10
_BEGINNING: Final = frozenset({"", "Starting"})
_MOODS: Final[dict[str, Mood]] = {"ready": "good", "starting": "wait"}


class Told(NamedTuple):
    """A line, and how what it tells is."""

    text: str
    mood: Mood = "plain"


def container_lines(reply: ext.ListContainersResponse, now: float) -> list[Told]:
    """A section on the containers of a Service; nothing if it has none."""
    found = [one for item in reply.items for one in item.containers]
    if not found:
        return []
    lines = [Told(""), Told("Containers:")]
    for one in found:
        lines += _container(one, now, has_controller=reply.has_controller)
    return lines


def state_of(one: container.Container, *, has_controller: bool) -> str:
    """How a container is, in a word or two."""
    if one.ready:
        return "ready"
    if not has_controller:
        return "not deployed"
    return "starting" if one.reason in _BEGINNING else "not running"


def _container(one: container.Container, now: float, *, has_controller: bool) -> Iterator[Told]:
    state = state_of(one, has_controller=has_controller)
    mood: Mood = _MOODS.get(state, "bad")
    name = one.config or DEFAULT_NAMESPACE
    count = f"{one.ready_replicas} of {one.desired} {'replica' if one.desired == 1 else 'replicas'}"
    if one.replicas and one.updated < one.desired:
        count += f", {one.updated} of the latest form"
    yield Told(inert(f"  {name}: {state}, {count}"), mood)
    why = one.message or one.reason
    if state == "not deployed":
        why = "this Cluster has no controller that deploys containers"
    place = f"[{one.address}]" if ":" in one.address else one.address
    rows = [
        ("Reason", why),
        ("Image", one.image),
        ("Address", f"{place}:{one.port}" if place else ""),
        ("Restarts", str(one.restarts) if one.restarts or one.replicas else ""),
    ]
    for label, text in rows:
        if text:
            yield Told(f"    {label + ':':{_WIDTH}} {_one_line(text)}", _mood_of(label, mood))
    if one.events:
        yield Told("    Events:")
        yield from _events(one, now)


def _mood_of(label: str, mood: Mood) -> Mood:
    return mood if label == "Reason" and mood == "bad" else "plain"


def _events(one: container.Container, now: float) -> Iterator[Told]:
    rows = [
        (
            age(event.last_at, now),
            inert(event.type),
            inert(f"{event.reason} x{event.count}" if event.count > 1 else event.reason),
            _one_line(event.message),
        )
        for event in one.events
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{text:{width}}" for text, width in zip(row[:3], widths, strict=False)]
        mood: Mood = "wait" if row[1] == "Warning" else "plain"
        yield Told(f"      {'  '.join(cells)}  {row[3]}".rstrip(), mood)


def _one_line(text: str) -> str:
    return inert(" ".join(text.split()))
