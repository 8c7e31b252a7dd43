"""A real kubectl (1.31 or newer) with the emulated API server.

Where there is none, the tests say so and are left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.peers.kubernetes import KubernetesApi, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: backend
        image: example/web:1
        ports: [{containerPort: 8080}]
        env: [{name: A, value: b}]
        resources: {limits: {cpu: "1", memory: 512Mi}}
        readinessProbe: {httpGet: {path: /, port: 8080}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


class Kubectl:
    """Runs kubectl against a server."""

    def __init__(self, program: str, api: KubernetesApi, folder: Path) -> None:
        self.program = program
        self.api = api
        self.folder = folder
        self.config = api.kubeconfig(namespace="shop")

    def run(self, *arguments: str, code: int = 0, text: str = "") -> str:
        """What it prints, on both outputs."""
        done = subprocess.run(
            [self.program, "--kubeconfig", str(self.config), *arguments],
            input=text,
            capture_output=True,
            text=True,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            timeout=300,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def json(self, *arguments: str) -> Any:
        """What it gets, as JSON."""
        return json.loads(self.run("get", *arguments, "-o", "json"))


def _program() -> str:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("there is no kubectl: the emulated API server is not tried with it")
    told = subprocess.run(
        [program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True
    )
    version = json.loads(told.stdout)["clientVersion"]
    if (int(version["major"]), int(version["minor"].rstrip("+"))) < (1, 31):
        pytest.skip("kubectl is older than 1.31: the emulated API server is not tried with it")
    return program


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    program = _program()
    with KubernetesApi() as api:
        yield Kubectl(program, api, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture
def shop(kubectl: Kubectl) -> Iterator[Kubectl]:
    """With a namespace that is empty."""
    kubectl.run("create", "namespace", "shop")
    yield kubectl
    kubectl.run("delete", "namespace", "shop", "--wait")
    assert kubectl.api.all("Pod", "shop") == []


def test_a_walk_with_apply_from_the_clients_side(shop: Kubectl) -> None:
    assert "deployment.apps/web created" in shop.run("apply", "-f", "-", text=_MANIFEST)
    assert "deployment.apps/web unchanged" in shop.run("apply", "-f", "-", text=_MANIFEST)
    shop.run("wait", "--for=condition=Available", "--timeout=240s", "deployment/web")
    assert "successfully rolled out" in shop.run("rollout", "status", "deployment/web")
    wide = shop.run("get", "deployment,pods,services", "-o", "wide")
    assert "example/web:1" in wide
    assert "10.96." in wide
    assert "2/2" in wide
    assert "replicas: 2" in shop.run("get", "deployment", "web", "-o", "yaml")
    described = shop.run("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available" in described
    assert "Scaled up replica set" in described
    shop.run("diff", "-f", "-", text=_MANIFEST)
    changed = _MANIFEST.replace("example/web:1", "example/web:2")
    assert "example/web:2" in shop.run("diff", "-f", "-", text=changed, code=1)
    assert "deployment.apps/web configured" in shop.run("apply", "-f", "-", text=changed)
    assert "successfully rolled out" in shop.run("rollout", "status", "deployment/web")
    shop.run("scale", "deployment/web", "--replicas=3")
    shop.run("patch", "deployment", "web", "-p", '{"spec":{"replicas":1}}')
    assert shop.json("deployment", "web")["spec"]["replicas"] == 1
    less = changed.replace("        env: [{name: A, value: b}]\n", "")
    shop.run("apply", "-f", "-", text=less)
    container = shop.json("deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert "env" not in container
    assert 'deployment.apps "web" deleted' in shop.run("delete", "deployment", "web")


def test_a_walk_with_apply_from_the_servers_side(shop: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied" in shop.run(*apply, text=_MANIFEST)
    before = shop.json("service", "web")["metadata"]["resourceVersion"]
    shop.run(*apply, text=_MANIFEST)
    assert shop.json("service", "web")["metadata"]["resourceVersion"] == before
    shop.run("scale", "deployment/web", "--replicas=5")
    refused = shop.run(*apply, text=_MANIFEST, code=1)
    assert ".spec.replicas" in refused
    shop.run(*apply, "--force-conflicts", text=_MANIFEST)
    assert shop.json("deployment", "web")["spec"]["replicas"] == 2
    shop.run("diff", "--server-side", "-f", "-", text=_MANIFEST)
    wrong = _MANIFEST.replace("replicas: 2", "replicaz: 2")
    assert "replicaz" in shop.run(*apply, text=wrong, code=1)


def test_a_kustomization(shop: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(_MANIFEST)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [web.yaml]\nnamePrefix: my-\n"
        "labels: [{pairs: {owner: me}}]\nimages: [{name: example/web, newTag: '7'}]\n"
    )
    assert "deployment.apps/my-web created" in shop.run("apply", "-k", str(tmp_path))
    shop.run("wait", "--for=condition=Available", "--timeout=240s", "deployment/my-web")
    made = shop.json("deployment", "-l", "owner=me")["items"]
    assert [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in made] == [
        "example/web:7"
    ]
    assert "deployment.apps/my-web unchanged" in shop.run("apply", "-k", str(tmp_path))
    shop.run("delete", "-k", str(tmp_path))


def test_a_container_that_does_not_come_up(shop: Kubectl) -> None:
    shop.api.kubelet.behave("example/web:1", "pull-failure")
    try:
        shop.run("apply", "-f", "-", text=_MANIFEST)
        shop.api.manager.settle()
        assert "ImagePullBackOff" in shop.run("get", "pods")
        assert "MinimumReplicasUnavailable" in shop.run("describe", "deployment", "web")
        assert "Back-off pulling image" in shop.run("get", "events")
    finally:
        shop.api.kubelet.behave("example/web:1", "ready")
    shop.run("wait", "--for=condition=Available", "--timeout=240s", "deployment/web")


def test_rights(kubectl: Kubectl) -> None:
    api = kubectl.api
    token = api.access.issue("bob")
    api.access.rules.append(Rule("bob", "shop", ("apps",), ("deployments",), ("get", "list")))
    limited = Kubectl(kubectl.program, api, kubectl.folder)
    limited.config = api.kubeconfig(token, "shop")
    assert limited.run("auth", "can-i", "list", "deployments.apps").strip() == "yes"
    assert "no" in limited.run("auth", "can-i", "delete", "deployments.apps", code=1)
    assert "cannot list resource" in limited.run("get", "secrets", code=1)
    assert "bob" in limited.run("auth", "whoami")
    assert "yes" in kubectl.run("auth", "can-i", "*", "*").splitlines()
