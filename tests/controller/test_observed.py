"""What people are told about a container, from what Kubernetes says about it."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.observed import (
    observe,
    rolled_out,
    trimmed_event,
    trimmed_owned,
    trimmed_pod,
)
from octelium.controller.status import MAX_EVENTS, MAX_TEXT, ContainerStatus

ASKED = ContainerStatus("uid", "", desired=1, image="nginx")


def deployment(ready: int = 1, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "generation": 3},
        "spec": {"replicas": 1},
        "status": {
            "observedGeneration": 3,
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": list(conditions),
        },
    }


def service(address: str = "10.0.0.7") -> dict[str, Any]:
    return {
        "metadata": {"name": "web"},
        "spec": {"clusterIP": address, "ports": [{"port": 8080, "targetPort": 8080}]},
    }


def pod(state: dict[str, Any] | None = None, *, ready: bool = False, **more: Any) -> dict[str, Any]:
    status = {"name": "upstream", "restartCount": 2, "state": state or {}, "lastState": {}, **more}
    return {
        "metadata": {"name": "web-1", "uid": "p", "resourceVersion": "5", "labels": {}},
        "spec": {"containers": [{"name": "upstream", "ports": [{"containerPort": 8080}]}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [status],
        },
    }


def seen(
    asked: ContainerStatus = ASKED,
    *,
    of: dict[str, Any] | None = None,
    at: dict[str, Any] | None = None,
    pods: tuple[dict[str, Any], ...] = (),
    events: tuple[dict[str, Any], ...] = (),
) -> ContainerStatus:
    return observe(asked, deployment=of, service=at, pods=pods, events=events)


def test_all_is_well() -> None:
    state = seen(of=deployment(), at=service(), pods=(pod(ready=True),))
    assert state.ready
    assert (state.address, state.port) == ("10.0.0.7", 8080)
    assert (state.desired, state.replicas, state.ready_replicas, state.updated) == (1, 1, 1, 1)
    assert (state.reason, state.message, state.image, state.restarts) == ("", "", "nginx", 2)


def test_nothing_is_there_yet() -> None:
    state = seen()
    assert not state.ready
    assert (state.reason, state.message) == ("Starting", "0 of 1 replicas are ready")


@pytest.mark.parametrize("ip", ["", "None"])
def test_without_an_address_nothing_is_ready(ip: str) -> None:
    state = seen(of=deployment(), at=service(ip), pods=(pod(ready=True),))
    assert not state.ready
    assert (state.address, state.port) == ("", 0)


def test_ready_needs_a_ready_pod_and_a_deployment_that_says_so() -> None:
    assert not seen(of=deployment(), at=service(), pods=(pod(),)).ready
    assert not seen(of=deployment(0), at=service(), pods=(pod(ready=True),)).ready
    assert not seen(at=service(), pods=(pod(ready=True),)).ready
    going = pod(ready=True)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not seen(of=deployment(), at=service(), pods=(going,)).ready


@pytest.mark.parametrize(
    ("asked", "ports", "port"),
    [
        (8080, [22, 8080], 8080),
        (8080, [8080, 22], 8080),
        (9090, [8080], 8080),
        (9090, [22, 8080], 0),
        (9090, [], 0),
    ],
)
def test_of_several_ports_the_one_that_is_asked_for_is_told(
    asked: int, ports: list[int], port: int
) -> None:
    there = service()
    there["spec"]["ports"] = [{"port": one, "targetPort": one} for one in ports]
    state = seen(
        dataclasses.replace(ASKED, port=asked),
        of=deployment(),
        at=there,
        pods=(pod(ready=True),),
    )
    assert (state.port, state.ready, bool(state.address)) == (port, bool(port), bool(port))


def test_a_pod_of_the_earlier_port_is_not_behind_the_address() -> None:
    earlier = pod(ready=True)
    earlier["spec"]["containers"][0]["ports"][0]["containerPort"] = 80
    assert not seen(of=deployment(), at=service(), pods=(earlier,)).ready
    del earlier["spec"]["containers"][0]["ports"]
    assert seen(of=deployment(), at=service(), pods=(earlier,)).ready


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("ImagePullBackOff", 'Back-off pulling image "nginx:nosuch"'),
        ("ErrImagePull", "not found"),
        ("InvalidImageName", "couldn't parse image name"),
        ("CreateContainerConfigError", 'secret "x" not found'),
        ("CreateContainerError", "no command specified"),
    ],
)
def test_why_a_container_waits(reason: str, text: str) -> None:
    waiting = pod({"waiting": {"reason": reason, "message": text}})
    state = seen(of=deployment(0), at=service(), pods=(waiting,))
    assert (state.reason, state.message) == (reason, f"{reason}: {text}")


def test_a_container_that_starts_is_only_starting() -> None:
    waiting = pod({"waiting": {"reason": "ContainerCreating"}})
    assert seen(of=deployment(0), pods=(waiting,)).reason == "Starting"


def test_a_crash_says_how_it_ended() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}}
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "bye"}}
    state = seen(of=deployment(0), pods=(pod(waiting, lastState=ended),))
    assert state.reason == "CrashLoopBackOff"
    assert "exit code 137" in state.message
    assert "more memory than its limit" in state.message
    assert state.message.endswith("bye")
    assert "exit code" not in seen(of=deployment(0), pods=(pod(waiting),)).message


def test_no_room_for_a_pod() -> None:
    waiting = pod()
    waiting["status"]["conditions"].append(
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient memory.",
        }
    )
    state = seen(of=deployment(0), pods=(waiting,))
    assert state.reason == "Unschedulable"
    assert "Insufficient memory" in state.message


def test_an_evicted_pod() -> None:
    evicted = pod()
    evicted["status"].update(phase="Failed", reason="Evicted", message="low on memory")
    assert seen(of=deployment(0), pods=(evicted,)).message == "Evicted: low on memory"


def test_pods_that_may_not_be() -> None:
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": 'violates PodSecurity "baseline:latest": privileged',
    }
    state = seen(of=deployment(0, failure), at=service())
    assert state.reason == "FailedCreate"
    assert "PodSecurity" in state.message


def test_a_rollout_that_takes_too_long() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    assert seen(of=deployment(0, late)).reason == "ProgressDeadlineExceeded"


def test_a_rollout_while_the_earlier_pods_serve() -> None:
    found = deployment()
    found["status"]["updatedReplicas"] = 0
    state = seen(of=found, at=service(), pods=(pod(ready=True),))
    assert state.ready
    assert state.message == "0 of 1 replicas are of the present specification"


def test_no_replica_is_asked_for() -> None:
    asked = ContainerStatus("uid", "", desired=0)
    assert seen(asked, of=deployment(0)).reason == "Stopped"


def test_what_was_refused_explains_more_than_what_follows() -> None:
    asked = ContainerStatus("uid", "", desired=1, reason="Refused", message="no")
    state = seen(asked, of=deployment(), at=service(), pods=(pod(ready=True),))
    assert (state.ready, state.reason, state.message) == (True, "Refused", "no")


def event(last: int, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"e{last}", "creationTimestamp": "2025-01-01T00:00:00Z"},
        "involvedObject": {"kind": "Pod", "name": "web-1"},
        "type": "Warning",
        "reason": "BackOff",
        "message": "again",
        "count": 3,
        "lastTimestamp": f"2026-01-01T00:00:{last:02}Z",
        **more,
    }


def test_the_last_events_newest_first() -> None:
    state = seen(events=tuple(event(number) for number in range(12)))
    assert len(state.events) == MAX_EVENTS
    assert state.events[0].last == 1767225611
    assert state.events[0].object == "Pod web-1"
    assert state.events[0].count == 3
    assert [one.last for one in state.events] == sorted(
        (one.last for one in state.events), reverse=True
    )


def test_events_of_the_newer_form() -> None:
    series = {"count": 9, "lastObservedTime": "2026-01-01T00:00:30.123456Z"}
    told = seen(events=(event(1, series=series, lastTimestamp=None, count=None),)).events[0]
    assert (told.count, told.last) == (9, 1767225630)
    bare = event(1, lastTimestamp=None, eventTime=None, count=None, type="Odd")
    told = seen(events=(bare,)).events[0]
    assert (told.count, told.last, told.type) == (1, 1735689600, "Normal")


def test_long_texts_are_cut() -> None:
    waiting = pod({"waiting": {"reason": "x" * 9999, "message": "y" * 9999}})
    state = seen(of=deployment(0), pods=(waiting,), events=(event(1, message="z" * 9999),))
    assert len(state.message) == MAX_TEXT
    assert len(state.reason) == 253
    assert len(state.events[0].message) == MAX_TEXT


def test_a_rollout_is_over_when_no_earlier_pod_is_left() -> None:
    assert rolled_out(deployment(), [pod()])
    assert not rolled_out(None, [])
    assert not rolled_out(deployment(0), [pod()])
    assert not rolled_out(deployment(), [pod(), pod()])
    later = deployment()
    later["metadata"]["generation"] = 4
    assert not rolled_out(later, [pod()])


def test_what_is_trimmed_is_not_missed() -> None:
    waiting = pod({"waiting": {"reason": "ErrImagePull", "message": "no"}})
    waiting["metadata"]["managedFields"] = [{"manager": "kubelet", "fieldsV1": {"f:x": {}}}]
    waiting["spec"]["volumes"] = [{"name": "large"}]
    told = event(3)
    whole = seen(of=deployment(0), at=service(), pods=(waiting,), events=(told,))
    trimmed = trimmed_pod(waiting)
    assert "volumes" not in trimmed["spec"]
    assert "managedFields" not in trimmed["metadata"]
    assert whole == seen(
        of=trimmed_owned(deployment(0)),
        at=service(),
        pods=(trimmed,),
        events=(trimmed_event(told),),
    )
    value = {"metadata": {"managedFields": [{"manager": "m", "operation": "Apply", "time": "t"}]}}
    kept = trimmed_owned(value)["metadata"]["managedFields"]
    assert kept == [{"manager": "m", "operation": "Apply"}]


@given(st.data())
def test_whatever_is_missing_it_is_read(data: st.DataObject) -> None:
    def thinned(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: thinned(one)
                for name, one in value.items()
                if name == "metadata" or data.draw(st.booleans())
            }
        return [thinned(one) for one in value] if isinstance(value, list) else value

    waiting = pod({"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {}})
    state = observe(
        ASKED,
        deployment=thinned(copy.deepcopy(deployment())),
        service=thinned(service()),
        pods=[trimmed_pod(thinned(waiting))],
        events=[trimmed_event(thinned(event(1)))],
    )
    assert state.reason or state.ready


def told(reason: str, message: str, count: int = 3, name: str = "web-1") -> dict[str, Any]:
    about = {"kind": "Pod", "name": name}
    return event(1, reason=reason, message=message, count=count, involvedObject=about)


REFUSED = "Readiness probe failed: dial tcp 10.42.0.5:8080: connect: connection refused"


def test_a_port_where_nothing_listens() -> None:
    at, of, running = service(), deployment(0), pod({"running": {}})
    state = seen(of=of, at=at, pods=(running,), events=(told("Unhealthy", REFUSED),))
    assert state.reason == "Unhealthy"
    assert "it runs, but nothing takes connections at port 8080: is `port` right" in state.message
    answered = told("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500")
    state = seen(of=of, at=at, pods=(running,), events=(answered,))
    assert state.reason == "Unhealthy"
    assert "statuscode: 500" in state.message
    assert "nothing takes" not in state.message


@pytest.mark.parametrize(
    "one",
    [
        told("Unhealthy", REFUSED, count=2),  # a slow start
        told("Unhealthy", REFUSED, name="web-0"),  # a Pod that is gone
        told("Unhealthy", "Liveness probe failed: no"),
    ],
)
def test_an_ordinary_start(one: dict[str, Any]) -> None:
    state = seen(of=deployment(0), at=service(), pods=(pod({"running": {}}),), events=(one,))
    assert state.reason == "Starting"


def test_a_pod_that_became_ready_is_well() -> None:
    one = told("Unhealthy", REFUSED)
    assert not seen(of=deployment(), at=service(), pods=(pod(ready=True),), events=(one,)).reason


def test_a_volume_that_is_not_there() -> None:
    creating = pod({"waiting": {"reason": "ContainerCreating"}})
    one = told("FailedMount", 'MountVolume.SetUp failed for volume "x": secret "y" not found')
    state = seen(of=deployment(0), at=service(), pods=(creating,), events=(one,))
    assert (state.reason, "secret" in state.message) == ("FailedMount", True)
