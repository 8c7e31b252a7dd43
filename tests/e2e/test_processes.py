"""Processes that end are replaced, and nothing outlives the supervisor."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.documents import credential, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream_port: int) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("processes"))
    try:
        cluster.start()
        cluster.login()
        cluster.apply(
            workload("worker-user"),
            service("echo", f"http://127.0.0.1:{upstream_port}", "allow-all"),
            credential("w-token", "worker-user"),
        )
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def bearer(running: Cluster) -> dict[str, str]:
    import json

    made = json.loads(running.ctl("create", "credential", "w-token", "--rotate", "-o", "json"))
    return {"Authorization": f"Bearer {made['accessToken']['accessToken']}"}


def replaced(cluster: Cluster, name: str) -> float:
    """Kill a process; seconds until another one has taken its place."""
    old = cluster.kill(name)
    started = time.monotonic()
    wait_for(lambda: cluster.children().get(name, old) != old)
    return time.monotonic() - started


def refused(command: list[str], cluster: Cluster) -> subprocess.CompletedProcess[str]:
    """Run an `octelium up` that must end by itself, with an error for people."""
    done = subprocess.run(
        command,
        env=cluster.base_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done


def test_traffic_goes_on_while_control_is_replaced(
    running: Cluster, bearer: dict[str, str]
) -> None:
    with running.http() as http:
        url = running.url("echo")
        assert http.get(url, headers=bearer).status_code == 200
        old = running.kill("control")
        for _ in range(50):
            assert http.get(url, headers=bearer).status_code == 200
        wait_for(lambda: running.children().get("control", old) != old)
        assert http.get(url, headers=bearer).status_code == 200
    wait_for(lambda: "root" in running.run("octelium", "status", check=False).stdout)
    wait_for(lambda: running.apply(workload("after-control")))


def test_a_worker_is_replaced_and_the_other_serves(
    running: Cluster, bearer: dict[str, str]
) -> None:
    replaced(running, "worker-0")
    wait_for(lambda: running._ready())
    for _ in range(20):
        with running.http() as http:
            assert http.get(running.url("echo"), headers=bearer).status_code == 200


@pytest.mark.parametrize("same", ["directory", "port"])
def test_a_second_up_is_told_what_is_taken(running: Cluster, tmp_path: Path, same: str) -> None:
    other = Cluster(tmp_path)
    if same == "port":
        other.port = running.port
    command = other.up_command()
    if same == "directory":
        command[command.index("--data-dir") + 1] = str(running.data)
    done = refused(command, other)
    wanted = "in use by another" if same == "directory" else "another process listens there"
    assert wanted in done.stderr


def test_the_ways_to_stop_and_what_a_start_finds_again(own_cluster: Cluster) -> None:
    own_cluster.start()
    own_cluster.login()
    own_cluster.apply(workload("kept"))
    assert own_cluster.process is not None
    children = list(own_cluster.children().values())
    assert len(children) == 3
    wait_for(lambda: "--auth-token" in own_cluster.log.read_text())
    before = own_cluster.log.read_text()

    def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in children)

    # Killed, it leaves nobody behind: lock, port and store are free again.
    own_cluster.process.kill()
    own_cluster.process.wait()
    wait_for(gone)
    own_cluster.start()
    assert "kept" in own_cluster.ctl("get", "user")
    assert "--auth-token" not in own_cluster.log.read_text()[len(before) :]
    # By SIGTERM.
    children = list(own_cluster.children().values())
    own_cluster.stop()
    assert gone()
    command = [
        word.replace("octelium.localhost", "other.localhost") for word in own_cluster.up_command()
    ]
    done = refused(command, own_cluster)
    assert "octelium.localhost" in done.stderr
    # By Ctrl-C.
    own_cluster.start()
    children = list(own_cluster.children().values())
    own_cluster.process.send_signal(signal.SIGINT)
    assert own_cluster.process.wait(60) == 0
    assert gone()
