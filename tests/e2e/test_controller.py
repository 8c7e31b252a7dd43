"""Containers of Services, from `octeliumctl apply` to Kubernetes and back, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.conftest import SOAK
from tests.e2e.cluster import ROOT, Cluster, wait_for
from tests.peers.kubernetes import KubernetesApi
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.kubernetes import Account

NAMESPACE = "octelium-upstreams"
LABEL = "octelium.com/cluster"


class Deploying:
    """A Cluster with `octelium controller` beside it, and an emulated Kubernetes."""

    def __init__(self, cluster: Cluster, kubernetes: KubernetesApi) -> None:
        self.cluster = cluster
        self.kubernetes = kubernetes
        self.health = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        cluster.environment["OCTELIUM_CONTROLLER"] = "on"
        for name in ("namespaces.yaml", "accounts.yaml", "roles.yaml"):
            for given in yaml.safe_load_all((ROOT / "k3s" / name).read_text()):
                if given["metadata"]["name"] != "default":  # made with their namespaces
                    kubernetes.add(given)
        self.account: Account = kubernetes.account("octelium", "octelium")

    @property
    def log(self) -> Path:
        """What the controller wrote."""
        return self.cluster.folder / "controller.log"

    def start(self) -> None:
        """Start the controller; another identity each time, as a Pod that is made anew."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(str(ROOT / "dist/octelium"), "controller"),
                    *("--socket", str(self.cluster.data / "run/controller/feed.sock")),
                    *("--account", str(self.account.folder)),
                    *("--health", f"127.0.0.1:{self.health}"),
                ],
                env={**self.cluster.base_environment(), **self.account.environment},
                stdout=log,
                stderr=log,
            )

    def ready(self) -> bool:
        """Whether it follows the Cluster and knows what Kubernetes has."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        return httpx.get(f"http://127.0.0.1:{self.health}/readyz").status_code == 200

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the controller; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(120)

    def deployments(self) -> dict[str, Any]:
        """The Deployments by the names of the Services that they are for."""
        return {
            each["metadata"]["annotations"]["octelium.com/svc"]: each
            for each in self.kubernetes.all("Deployment", NAMESPACE)
        }

    def metric(self, name: str) -> float:
        """A number that control tells."""
        text = httpx.get(f"http://127.0.0.1:{self.cluster.admin}/metrics").text
        lines = [each for each in text.splitlines() if each.startswith(f"{name}{{")]
        assert len(lines) == 1, text
        return float(lines[0].rpartition(" ")[2])

    def remove(self, name: str) -> None:
        """Delete the only Service, and wait until nothing is left of its container."""
        self.cluster.ctl("delete", "service", name)
        for kind in ("Deployment", "Service", "NetworkPolicy", "Secret", "Pod"):
            wait_for(lambda kind=kind: not self.kubernetes.all(kind, NAMESPACE))
        for metric in ("octelium_containers_wanted", "octelium_containers_ready"):
            wait_for(lambda metric=metric: self.metric(metric) == 0)

    def containers(self, service: str) -> str:
        """What an administrator is shown of a Service."""
        return self.cluster.ctl("describe", "service", service)


@pytest.fixture(scope="module")
def deploying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploying]:
    """Both, running, with the administrator signed in."""
    cluster = Cluster(tmp_path_factory.mktemp("deploying"), workers=1)
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.remove)
        made = Deploying(cluster, stack.enter_context(KubernetesApi()))
        made.cluster.start()
        made.cluster.login()
        made.start()
        stack.callback(made.end, signal.SIGKILL)
        wait_for(made.ready, 120)
        yield made


def service(name: str, image: str = "example/web:1", **container: Any) -> dict[str, Any]:
    upstream = {"container": {"image": image, "port": 8080, **container}}
    spec = {"mode": "WEB", "port": 80, "isPublic": True, "isAnonymous": True}
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {**spec, "config": {"upstream": upstream}},
    }


def secret(name: str, value: str) -> dict[str, Any]:
    return {"kind": "Secret", "metadata": {"name": name}, "spec": {}, "data": {"value": value}}


def test_a_service_s_container_is_deployed_watched_and_removed(deploying: Deploying) -> None:
    cluster, kubernetes = deploying.cluster, deploying.kubernetes
    kubernetes.kubelet.behave("example/web:1", "pull-failure")
    env = [{"name": "TOKEN", "fromSecret": "walk-token"}]
    cluster.apply(secret("walk-token", "hunter2"), secret("walk-other", "not-for-it"))
    cluster.apply(service("walk", env=env))
    wait_for(lambda: "walk.default" in deploying.deployments())
    made = deploying.deployments()["walk.default"]
    config = yaml.safe_load(cluster.ctl("get", "cc", "-o", "yaml"))
    assert made["metadata"]["labels"][LABEL] == config["metadata"]["uid"]
    secrets = str(kubernetes.all("Secret", NAMESPACE))
    assert "aHVudGVyMg==" in secrets
    assert "bm90LWZvci1pdA==" not in secrets
    wait_for(lambda: "ImagePullBackOff" in deploying.containers("walk"))
    assert deploying.metric("octelium_containers_wanted") == 1
    assert deploying.metric("octelium_containers_ready") == 0
    with cluster.http() as http:
        answer = http.get(cluster.url("walk"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    kubernetes.kubelet.behave("example/web:1", "ready")
    wait_for(lambda: deploying.metric("octelium_containers_ready") == 1)
    address = kubernetes.all("Service", NAMESPACE)[0]["spec"]["clusterIP"]
    assert address in deploying.containers("walk")
    deploying.remove("walk")


def test_a_change_reaches_kubernetes_and_its_state_the_cluster(deploying: Deploying) -> None:
    cluster, kubernetes = deploying.cluster, deploying.kubernetes
    cluster.apply(service("changing", "example/changing:1"))
    wait_for(lambda: deploying.metric("octelium_containers_ready") == 1)
    kubernetes.kubelet.behave("example/changing:2", "crash")
    cluster.apply(service("changing", "example/changing:2"))

    def image() -> str:
        (container,) = deploying.deployments()["changing.default"]["spec"]["template"]["spec"][
            "containers"
        ]
        return str(container["image"])

    wait_for(lambda: image() == "example/changing:2")
    wait_for(lambda: "CrashLoopBackOff" in deploying.containers("changing"))
    deploying.remove("changing")


def test_it_goes_on_when_anything_was_killed(deploying: Deploying) -> None:
    cluster, kubernetes = deploying.cluster, deploying.kubernetes
    kubernetes.kubelet.behave("example/lasting:1", "ready")
    cluster.apply(service("lasting", "example/lasting:1"))
    wait_for(lambda: deploying.metric("octelium_containers_ready") == 1)
    before = deploying.deployments()["lasting.default"]["metadata"]
    # Control comes back, and what changed before it was told anything is told.
    cluster.kill("control")
    kubernetes.kubelet.behave("example/lasting:1", "unready")
    wait_for(lambda: deploying.metric("octelium_containers_ready") == 0, 120)
    # Without its controller the Cluster goes on with what it knows.
    deploying.end(signal.SIGKILL)
    (lease,) = kubernetes.all("Lease", NAMESPACE)
    if not SOAK:  # else it runs out by itself, in 15 seconds
        kubernetes.delete("Lease", lease["metadata"]["name"], NAMESPACE)
    cluster.apply(service("meanwhile", "example/meanwhile:1"))
    cluster.ctl("delete", "service", "lasting")
    assert deploying.deployments().keys() == {"lasting.default"}
    deploying.start()
    wait_for(lambda: deploying.deployments().keys() == {"meanwhile.default"}, 120)
    wait_for(lambda: deploying.metric("octelium_containers_ready") == 1)
    # The whole Cluster ends: nothing is taken for gone, and foreign edits are undone meanwhile.
    cluster.stop()
    after = deploying.deployments()["meanwhile.default"]["metadata"]
    kubernetes.edit("Deployment", after["name"], {"spec": {"replicas": 7}}, NAMESPACE)
    wait_for(lambda: deploying.deployments()["meanwhile.default"]["spec"]["replicas"] == 1, 120)
    cluster.start()
    wait_for(deploying.ready, 120)
    assert deploying.deployments()["meanwhile.default"]["metadata"]["uid"] == after["uid"]
    assert before["labels"][LABEL] == after["labels"][LABEL]
    deploying.remove("meanwhile")


def test_the_lease_is_given_back_at_the_end(deploying: Deploying) -> None:
    def holders() -> list[str]:
        leases = deploying.kubernetes.all("Lease", NAMESPACE)
        return [name for each in leases if (name := each["spec"].get("holderIdentity"))]

    wait_for(holders)  # who is ready may still wait for it
    assert deploying.end() == 0
    (lease,) = deploying.kubernetes.all("Lease", NAMESPACE)
    assert not lease["spec"].get("holderIdentity")
    deploying.start()
    wait_for(deploying.ready, 120)


def test_without_an_account_it_says_what_is_missing(deploying: Deploying) -> None:
    done = deploying.cluster.run("octelium", "controller", check=False)
    assert done.returncode == 1
    assert "octelium controller: KUBERNETES_SERVICE_HOST" in done.stderr
