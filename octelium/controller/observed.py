"""How a container is, read from the objects that Kubernetes has for it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from octelium.controller.status import (
    MAX_EVENTS,
    MAX_IMAGE,
    MAX_NAME,
    MAX_TEXT,
    ContainerEvent,
    ContainerStatus,
)
from octelium.schema.containers import STARTING, UNHEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterable

Object = dict[str, Any]

STOPPED = "Stopped"
_HARMLESS = frozenset({"", "ContainerCreating", "PodInitializing"})
_MOUNTS = frozenset({"FailedMount", "FailedAttachVolume"})
_OFTEN = 3
"""Times that an event has been seen when it is more than a slow start."""
_MAX_COUNT = 1 << 31


def observe(
    before: ContainerStatus,
    *,
    deployment: Object | None,
    service: Object | None,
    pods: Iterable[Object],
    events: Iterable[Object],
) -> ContainerStatus:
    """`before`, which says what is asked for and what hinders it, with what there is.

    Of a Service's ports it tells the one that is asked for, or the only one: others may have added
    some, and what runs may be of an earlier specification.
    A reason that `before` has stays: what was refused explains more than what follows from it.
    """
    there = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    address, port, target = _address(service, before.port)
    state = (deployment or {}).get("status") or {}
    ready = bool(
        address
        and _count(state.get("availableReplicas")) > 0
        and any(_is_ready(pod) and _listens(pod, target) for pod in there)
    )
    reason, message = before.reason, before.message
    events = list(events)
    if not reason:
        reason, message = _trouble(deployment, there)
    if not reason:
        reason, message = _refrain(there, events, target)
    ready_replicas = _count(state.get("readyReplicas"))
    updated = _count(state.get("updatedReplicas"))
    if not reason and not before.desired:
        reason, message = STOPPED, "no replica is asked for"
    if not reason and not (ready and min(ready_replicas, updated) >= before.desired):
        reason = STARTING
        message = f"{ready_replicas} of {before.desired} replicas are ready"
        if ready_replicas >= before.desired > updated:
            message = f"{updated} of {before.desired} replicas are of the present specification"
    return ContainerStatus(
        service_uid=before.service_uid,
        config=before.config,
        address=address,
        port=port,
        ready=ready,
        desired=before.desired,
        replicas=_count(state.get("replicas")),
        ready_replicas=ready_replicas,
        updated=updated,
        image=before.image[:MAX_IMAGE],
        restarts=min(_MAX_COUNT, sum(_restarts(pod) for pod in there)),
        reason=reason[:MAX_NAME],
        message=message[:MAX_TEXT],
        events=_last_events(events),
    )


def rolled_out(deployment: Object | None, pods: Iterable[Object]) -> bool:
    """Whether every Pod is of the Deployment's present specification, and all are available."""
    if deployment is None:
        return False
    asked = (deployment.get("spec") or {}).get("replicas", 1)
    state = deployment.get("status") or {}
    return (
        _count(state.get("observedGeneration")) >= _count(deployment["metadata"].get("generation"))
        and all(
            _count(state.get(name)) == asked
            for name in ("updatedReplicas", "replicas", "availableReplicas")
        )
        and sum(1 for _ in pods) == asked
    )


def trimmed_pod(pod: Object) -> Object:
    """What `observe` reads of a Pod, and its version."""
    meta, state = pod["metadata"], pod.get("status") or {}
    containers = (pod.get("spec") or {}).get("containers") or []
    return {
        "metadata": _meta(meta, "labels", "deletionTimestamp"),
        "spec": {"containers": [{"ports": one.get("ports") or []} for one in containers]},
        "status": {
            name: state[name]
            for name in (
                "phase",
                "reason",
                "message",
                "conditions",
                "initContainerStatuses",
                "containerStatuses",
            )
            if name in state
        },
    }


def trimmed_event(event: Object) -> Object:
    """What `observe` reads of an event, and its version."""
    kept = (
        "involvedObject",
        "type",
        "reason",
        "message",
        "count",
        "series",
        "lastTimestamp",
        "eventTime",
    )
    return {
        "metadata": _meta(event["metadata"], "creationTimestamp"),
        **{name: event[name] for name in kept if name in event},
    }


def trimmed_owned(value: Object) -> Object:
    """An object of ours without the lists of who owns which field; who applied it stays."""
    managers = [
        {name: entry[name] for name in ("manager", "operation", "subresource") if name in entry}
        for entry in value["metadata"].get("managedFields") or []
    ]
    return {**value, "metadata": {**value["metadata"], "managedFields": managers}}


def _meta(meta: Object, *more: str) -> Object:
    names = ("name", "uid", "resourceVersion", *more)
    return {name: meta[name] for name in names if name in meta}


def _address(service: Object | None, asked: int) -> tuple[str, int, object]:
    spec = (service or {}).get("spec") or {}
    address = str(spec.get("clusterIP") or "")
    ports = spec.get("ports") or []
    fitting = [one for one in ports if one.get("port") == asked] or ports
    port = _count(fitting[0].get("port")) if fitting else 0
    if not port or address in ("", "None") or (port != asked and len(ports) > 1):
        return "", 0, None
    return address, port, fitting[0].get("targetPort", port)


def _listens(pod: Object, target: object) -> bool:
    """Whether a Pod is of a specification that has the port; one that names none may have it."""
    ports = [port for one in pod["spec"]["containers"] for port in one.get("ports") or []]
    return not ports or any(target in (one.get("containerPort"), one.get("name")) for one in ports)


def _is_ready(pod: Object) -> bool:
    return _condition((pod.get("status") or {}).get("conditions"), "Ready").get("status") == "True"


def _restarts(pod: Object) -> int:
    return sum(_count(one.get("restartCount")) for one in _statuses(pod))


def _statuses(pod: Object) -> list[Object]:
    state = pod.get("status") or {}
    return [*(state.get("initContainerStatuses") or []), *(state.get("containerStatuses") or [])]


def _condition(conditions: Iterable[Object] | None, name: str) -> Object:
    return next((one for one in conditions or () if one.get("type") == name), {})


def _trouble(deployment: Object | None, pods: list[Object]) -> tuple[str, str]:
    """The gravest thing that Kubernetes says, as one word and as a sentence."""
    conditions = ((deployment or {}).get("status") or {}).get("conditions")
    failure = _condition(conditions, "ReplicaFailure")
    if failure.get("status") == "True":
        return _said(failure, "FailedCreate")
    for pod in pods:
        for status in _statuses(pod):
            if found := _waiting(status):
                return found
    for pod in pods:
        state = pod.get("status") or {}
        scheduled = _condition(state.get("conditions"), "PodScheduled")
        if scheduled.get("status") == "False":
            return _said(scheduled, "Unschedulable")
        if state.get("phase") == "Failed" and not _is_ready(pod):
            return _said(state, "Failed")
    progress = _condition(conditions, "Progressing")
    if progress.get("status") == "False":
        return _said(progress, "ProgressDeadlineExceeded")
    return "", ""


def _refrain(pods: list[Object], events: list[Object], port: object) -> tuple[str, str]:
    """What events repeat of Pods that are there and not ready: it is no ordinary start any more."""
    unready = {pod["metadata"].get("name") for pod in pods if not _is_ready(pod)}
    for event in events:
        about, reason = event.get("involvedObject") or {}, str(event.get("reason") or "")
        if about.get("kind") != "Pod" or about.get("name") not in unready or not _repeats(event):
            continue
        if reason in _MOUNTS:
            return _said(event, reason)
        message = str(event.get("message") or "")
        if reason == UNHEALTHY and message.startswith("Readiness"):
            if "refused" not in message:
                return UNHEALTHY, f"{UNHEALTHY}: it runs, but does not become ready: {message}"
            return UNHEALTHY, (
                f"{UNHEALTHY}: it runs, but nothing takes connections at port {port}: is `port` "
                f"right, and does it listen on all addresses? {message}"
            )
    return "", ""


def _repeats(event: Object) -> bool:
    return _times(event) >= _OFTEN


def _times(event: Object) -> int:
    series = event.get("series") or {}
    return _count(series.get("count")) or _count(event.get("count")) or 1


def _waiting(status: Object) -> tuple[str, str] | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if reason in _HARMLESS:
        return None
    if reason != "CrashLoopBackOff":
        return _said(waiting, reason)
    ended = (status.get("lastState") or {}).get("terminated") or {}
    text = "the container ends again and again"
    if "exitCode" in ended:
        text += f", last with exit code {ended['exitCode']}"
    if ended.get("reason") == "OOMKilled":
        text += ", as it used more memory than its limit"
    if ended.get("message"):
        text += f": {ended['message']}"
    return reason, f"{reason}: {text}"


def _said(value: Object, otherwise: str) -> tuple[str, str]:
    reason = str(value.get("reason") or otherwise)
    message = str(value.get("message") or "")
    return reason, f"{reason}: {message}" if message else reason


def _last_events(events: Iterable[Object]) -> tuple[ContainerEvent, ...]:
    told = [_event(one) for one in events]
    told.sort(key=lambda one: (one.last, one.object, one.reason, one.message), reverse=True)
    return tuple(told[:MAX_EVENTS])


def _event(value: Object) -> ContainerEvent:
    about, series = value.get("involvedObject") or {}, value.get("series") or {}
    last = (
        series.get("lastObservedTime")
        or value.get("lastTimestamp")
        or value.get("eventTime")
        or value["metadata"].get("creationTimestamp")
    )
    return ContainerEvent(
        object=f"{about.get('kind', '')} {about.get('name', '')}"[:MAX_NAME],
        type="Warning" if value.get("type") == "Warning" else "Normal",
        reason=str(value.get("reason") or "")[:MAX_NAME],
        message=str(value.get("message") or "")[:MAX_TEXT],
        count=min(_MAX_COUNT, _times(value)),
        last=_moment(last),
    )


def _moment(text: object) -> int:
    if not isinstance(text, str):
        return 0
    try:
        return max(0, int(dt.datetime.fromisoformat(text).timestamp()))
    except ValueError:
        return 0


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
