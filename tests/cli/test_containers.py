from __future__ import annotations

from pathlib import Path

from octelium.cli.containers import container_lines, state_of
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import ext_v1_pb2 as ext

NOW = 1000.0


def shown(*containers: container.Container, has_controller: bool = True) -> list[str]:
    reply = ext.ListContainersResponse(has_controller=has_controller)
    reply.items.add(containers=containers)
    return [line.text for line in container_lines(reply, NOW)]


def event(
    seconds: int, kind: str, reason: str, message: str, count: int = 1
) -> container.ContainerEvent:
    made = container.ContainerEvent(type=kind, reason=reason, message=message, count=count)
    made.last_at.seconds = seconds
    return made


def test_nothing_to_show() -> None:
    assert container_lines(ext.ListContainersResponse(has_controller=True), NOW) == []


def test_one_that_runs() -> None:
    one = container.Container(
        address="10.43.0.9", port=80, ready=True, desired=2, replicas=2, ready_replicas=2,
        updated=2, image="nginx:1.29",
    )  # fmt: skip
    assert shown(one) == [
        "",
        "Containers:",
        "  default: ready, 2 of 2 replicas",
        "    Image:     nginx:1.29",
        "    Address:   10.43.0.9:80",
        "    Restarts:  0",
    ]
    one.address = "fd00::9"
    assert "    Address:   [fd00::9]:80" in shown(one)


def test_one_that_fails_with_what_kubernetes_tells() -> None:
    one = container.Container(
        config="canary", desired=1, replicas=1, image="nginx:nope", restarts=4,
        reason="ImagePullBackOff", message="ImagePullBackOff: no such\n image",
    )  # fmt: skip
    one.events.append(event(988, "Warning", "Failed", "Failed to pull\nnginx:nope", 4))
    one.events.append(event(0, "Normal", "Scheduled", "Assigned \x1b[2J"))
    assert shown(one)[2:] == [
        "  canary: not running, 0 of 1 replica, 0 of the latest form",
        "    Reason:    ImagePullBackOff: no such image",
        "    Image:     nginx:nope",
        "    Restarts:  4",
        "    Events:",
        "      12s  Warning  Failed x4  Failed to pull nginx:nope",
        "      -    Normal   Scheduled  Assigned \\x1b[2J",
    ]


def test_states() -> None:
    for ready, reason, managed, state in (
        (True, "", True, "ready"),
        (True, "CrashLoopBackOff", True, "ready"),  # of a replica among several
        (False, "", True, "starting"),
        (False, "Starting", True, "starting"),
        (False, "CrashLoopBackOff", True, "not running"),
        (False, "", False, "not deployed"),
    ):
        one = container.Container(ready=ready, reason=reason)
        assert state_of(one, has_controller=managed) == state


def test_a_cluster_without_a_controller() -> None:
    assert shown(container.Container(desired=1, image="nginx"), has_controller=False)[2:] == [
        "  default: not deployed, 0 of 1 replica",
        "    Reason:    this Cluster has no controller that deploys containers",
        "    Image:     nginx",
    ]


def test_moods() -> None:
    reply = ext.ListContainersResponse(has_controller=True)
    reply.items.add().containers.add(reason="ErrImagePull", message="no", image="nginx")
    moods = {line.text.split(":")[0].strip(): line.mood for line in container_lines(reply, NOW)}
    assert moods == {
        "": "plain", "Containers": "plain", "default": "bad", "Reason": "bad", "Image": "plain",
    }  # fmt: skip


def test_the_states_that_the_document_shows() -> None:
    document = (Path(__file__).parents[2] / "docs/containers.md").read_text()
    image = "nginxinc/nginx-unprivileged"
    starting = container.Container(desired=2, replicas=2, updated=2, image=f"{image}:1.29")
    ready = container.Container(
        address="10.43.21.7", port=8080, ready=True, desired=2, replicas=2, ready_replicas=2,
        updated=2, image=f"{image}:1.29",
    )  # fmt: skip
    failing = container.Container(
        desired=2, replicas=2, updated=2, image=f"{image}:1.92",
        message=f'ImagePullBackOff: Back-off pulling image "{image}:1.92"',
        reason="ImagePullBackOff",
    )  # fmt: skip
    assigned = "Successfully assigned octelium-upstreams/upstream-svc-hello"
    failing.events.append(event(988, "Warning", "Failed", "Failed to pull image: not found", 4))
    failing.events.append(event(970, "Normal", "Scheduled", assigned))
    for one in (starting, ready, failing):
        assert "\n".join(f"    {line}" for line in shown(one)[1:]) in document
