"""The containers of a Service for reading: how each is, and what Kubernetes tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from octelium.cli.ages import age, clock_time
from octelium.cli.inert import inert
from octelium.schema.containers import BEGINNING, NO_CONTROLLER, UPSTREAMS, containers_of
from octelium.schema.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.schema.pb import container_v1_pb2 as container
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.schema.pb import ext_v1_pb2 as ext

Mood = Literal["plain", "good", "wait", "bad"]
_WIDTH: Final = 10
_MOODS: Final[dict[str, Mood]] = {"ready": "good", "starting": "wait"}
_READ_LOG: Final = f"sudo k3s kubectl logs -n {UPSTREAMS} deployment/"
_WORST: Final = ("not deployed", "not ready", "starting", "ready, hindered", "ready")
_ENDS: Final = "CrashLoopBackOff"


class Told(NamedTuple):
    """A line, and how what it tells is."""

    text: str
    mood: Mood = "plain"


def container_lines(
    reply: ext.ListContainersResponse, now: float, service: core.Service | None = None
) -> list[Told]:
    """A section on the containers of a Service; nothing if it has none.

    With `service` it says where they are not yet as the Service asks for them.
    """
    found = [(item, one) for item in reply.items for one in item.containers]
    if not found:
        return []
    lines = [Told(""), Told("Containers:")]
    silent = reply.silent_since
    if silent.seconds:
        since = f"since {clock_time(silent)} ({age(silent, now)} ago)"
        lines += [
            Told(f"  The controller is not connected {since}, so nothing is deployed now.", "bad"),
            Told("  This is the last known state; octeliumctl doctor tells more.", "bad"),
        ]
    for item, one in found:
        lines += _container(one, has_controller=reply.has_controller)
        lines += [Told(f"    Not yet:   {text}", "wait") for text in _differences(one, service)]
        if one.replicas:
            lines.append(Told(f"    Log:       {_log(item, one)}"))
        if one.events:
            lines += [Told("    Events:"), *_events(one, now)]
    return lines


def state_of(one: container.Container, *, has_controller: bool) -> str:
    """How a container is, in a word or two."""
    if one.ready:
        return "ready"
    if not has_controller or one.reason == NO_CONTROLLER:
        return "not deployed"
    return "starting" if one.reason in BEGINNING else "not ready"


def overview(reply: ext.ListContainersResponse) -> dict[str, str]:
    """How the containers of each Service are, by its name: the worst of their states."""
    return {
        item.service.name: min(
            (_briefly(one, has_controller=reply.has_controller) for one in item.containers),
            key=_WORST.index,
        )
        for item in reply.items
        if item.containers
    }


def _briefly(one: container.Container, *, has_controller: bool) -> str:
    state = state_of(one, has_controller=has_controller)
    return "ready, hindered" if state == "ready" and one.reason not in BEGINNING else state


def _container(one: container.Container, *, has_controller: bool) -> Iterator[Told]:
    state = state_of(one, has_controller=has_controller)
    mood: Mood = _MOODS.get(state, "bad")
    name = one.config or DEFAULT_NAMESPACE
    count = f"{one.ready_replicas} of {one.desired} {'replica' if one.desired == 1 else 'replicas'}"
    if one.replicas and one.updated < one.desired:
        count += f", {one.updated} of the latest form"
    hindered = one.ready and one.reason not in BEGINNING
    if hindered:
        mood = "wait"
        if one.updated < max(one.desired, one.replicas) or one.ready_replicas == one.replicas:
            count += "; the change is not there yet"
    yield Told(inert(f"  {name}: {state}, {count}"), mood)
    why = one.message or one.reason
    if not has_controller:
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
            worse = label == "Reason" and (hindered or mood == "bad")
            yield Told(f"    {label + ':':{_WIDTH}} {_one_line(text)}", "bad" if worse else "plain")


def _differences(one: container.Container, service: core.Service | None) -> Iterator[str]:
    """What a Service asks for and nobody has deployed yet."""
    wanted = None if service is None else dict(containers_of(service.spec)).get(one.config)
    if wanted is None:
        return
    if one.image and one.image != wanted.image:
        yield f"image {inert(wanted.image)}"
    if one.desired != (wanted.replicas or 1):
        yield f"{wanted.replicas or 1} replicas"


def _log(item: ext.ServiceContainers, one: container.Container) -> str:
    """What reads the log of the program, or that of the one before it where it ends by itself."""
    from octelium.controller.objects.names import name_for

    name = name_for(item.service.name, (item.service.uid, one.config))
    return inert(f"{_READ_LOG}{name}{' --previous' if one.reason == _ENDS else ''}")


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
