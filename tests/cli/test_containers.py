from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from octelium.cli.containers import container_lines, state_of
from octelium.controller.objects.names import name_for
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext

NOW = 1000.0
LOG_OF = "sudo k3s kubectl logs -n octelium-upstreams deployment/"
LOG = LOG_OF + name_for("hello.default", ("uid", ""))


def shown(
    *containers: container.Container,
    has_controller: bool = True,
    silent_since: int = 0,
    service: core.Service | None = None,
) -> list[str]:
    reply = ext.ListContainersResponse(has_controller=has_controller)
    if silent_since:
        reply.silent_since.seconds = silent_since
    reply.items.add(containers=containers, service={"name": "hello.default", "uid": "uid"})
    return [line.text for line in container_lines(reply, NOW, service)]


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
        f"    Log:       {LOG}",
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
        "  canary: not ready, 0 of 1 replica, 0 of the latest form",
        "    Reason:    ImagePullBackOff: no such image",
        "    Image:     nginx:nope",
        "    Restarts:  4",
        f"    Log:       {LOG_OF}{name_for('hello.default', ('uid', 'canary'))}",
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
        (False, "CrashLoopBackOff", True, "not ready"),
        (False, "", False, "not deployed"),
        (False, "NoController", True, "not deployed"),
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


def running(**more: Any) -> container.Container:
    made = container.Container(
        ready=True, desired=2, replicas=2, ready_replicas=2, updated=2, image="web:4"
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_controller_that_is_gone() -> None:
    lines = shown(running(), silent_since=820)
    assert lines[2] == (
        "  The controller is not connected since 1970-01-01T00:13:40.000Z (3m ago), so nothing is "
        "deployed now."
    )
    assert lines[3] == "  This is the last known state; octeliumctl doctor tells more."
    assert lines[4] == "  default: ready, 2 of 2 replicas"


def test_a_change_that_is_not_deployed_yet() -> None:
    service = core.Service()
    service.spec.config.upstream.container.image = "web:5"
    service.spec.config.upstream.container.replicas = 3
    green = service.spec.dynamic_config.configs.add(name="green").upstream.container
    green.image, green.replicas = "web:4", 2
    lines = shown(running(), running(config="green"), service=service)
    assert [line for line in lines if "Not yet" in line] == [
        "    Not yet:   image web:5",
        "    Not yet:   3 replicas",
    ]
    # What the Service asks for no more is compared with nothing.
    assert not [line for line in shown(running(config="x"), service=service) if "Not yet" in line]


@pytest.mark.parametrize(
    ("one", "stuck"),
    [
        # A Pod of the change beside those before it.
        (running(reason="ImagePullBackOff", replicas=3, updated=1), True),
        # What was not even written.
        (running(reason="SecretMissing"), True),
        # One of two ends by itself, and there is no change.
        (running(reason="CrashLoopBackOff", ready_replicas=1), False),
        (running(), False),
        (running(reason="Starting", updated=1), False),
    ],
)
def test_an_update_that_is_stuck(one: container.Container, stuck: bool) -> None:
    assert ("; the change is not there yet" in shown(one)[2]) == stuck
    assert ("    Reason:" in "\n".join(shown(one))) == bool(one.reason)


def test_the_log_of_what_ended() -> None:
    line = next(x for x in shown(running(reason="CrashLoopBackOff")) if "Log:" in x)
    assert line == f"    Log:       {LOG} --previous"


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
        lines = "\n".join(f"    {line}" for line in shown(one)[1:])
        assert lines.replace(name_for("hello.default", ("uid", "")), "upstream-svc-…") in document
