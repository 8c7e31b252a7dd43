"""What declared containers may take of the node, also from whoever has the controller's token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml

from octelium.schema.quantities import parse_quantity
from tests.install.api_servers import ApiServer, real
from tests.install.k3s_machine import K3sMachine, k3s_release
from tests.install.manifests import K3S, RIGHTS, VERSIONS, of_kind, pod_spec
from tests.peers.kubernetes.real import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Object = dict[str, Any]

SIZED = ("cpu", "memory", "ephemeral-storage")


def test_the_clusters_pod_keeps_its_place() -> None:
    (ranked,) = of_kind("PriorityClass")
    assert pod_spec()["priorityClassName"] == ranked["metadata"]["name"]
    assert (ranked["value"] > 0, ranked["globalDefault"]) == (True, False)
    assert ranked["preemptionPolicy"] == "PreemptLowerPriority"


def test_every_kind_that_the_controller_makes_is_counted() -> None:
    """Whoever has its token fills neither the node nor the store of Kubernetes."""
    quota = next(each for each in of_kind("ResourceQuota") if "scopeSelector" not in each["spec"])
    hard = quota["spec"]["hard"]
    for group, resource in (key for key, verbs in RIGHTS.items() if "create" in verbs):
        assert f"count/{resource}{'.' if group else ''}{group}" in hard
    assert int(hard["pods"]) < 110  # what a kubelet has by default
    assert {"requests.cpu", "requests.memory", "requests.ephemeral-storage"} <= set(hard)
    (limits,) = of_kind("LimitRange")
    (item,) = limits["spec"]["limits"]
    for name, amount in item["default"].items():
        assert parse_quantity(amount).value <= parse_quantity(item["max"][name]).value


@pytest.mark.parametrize(
    ("memory", "disk", "cores", "pods", "wanted"),
    [
        (16000, 100, 8, "250", ("230", "7500m", "14976Mi", "51200Mi", "8", "16000Mi", "51200Mi")),
        (1000, 8, 1, "", ("90", "500m", "250Mi", "4096Mi", "1", "1000Mi", "5000Mi")),
    ],
)
def test_limits_are_those_of_the_machine(
    tmp_path: Path, memory: int, disk: int, cores: int, pods: str, wanted: tuple[str, ...]
) -> None:
    """MiB of memory, GiB of disk. What is left is for the system, k3s and the Cluster."""
    machine = K3sMachine(tmp_path / "machine")
    k3s_release(machine.folder / "good", "1.0.0")
    machine.have_k3s()
    machine.serve()
    machine.write("proc/meminfo", f"MemTotal: {memory * 1024} kB\nMemAvailable: 900000 kB\n")
    blocks = disk * 1024 * 1024
    machine.put("df", f"#!/bin/sh\necho F\necho disk {blocks} 0 {blocks} 0% /\n")
    machine.put("nproc", f"#!/bin/sh\necho {cores}\n")
    if pods:
        node = machine.state["objects"]["nodes"][0]
        status = {**node["status"], "allocatable": {"pods": pods}}
        machine.add("nodes", {**node, "status": status})
    done = machine.bootstrap()
    assert done.returncode == 0, done.stdout
    site = machine.folder / "code/current/site"
    found = {
        each["path"]: each["value"]
        for name in ("quota", "limits")
        for each in yaml.safe_load((site / f"{name}.yaml").read_text())
    }
    names = [f"/spec/hard/{name}" for name in ("pods", *(f"requests.{one}" for one in SIZED))]
    names += [f"/spec/limits/0/max/{one}" for one in SIZED]
    assert found == dict(zip(names, wanted, strict=True))


@pytest.mark.parametrize("version", ["v1.29.9+k3s1", "v1.30.1+k3s1"])
def test_the_policy_of_services_is_added_where_kubernetes_has_such(
    tmp_path: Path, version: str
) -> None:
    machine = K3sMachine(tmp_path / "machine")
    k3s_release(machine.folder / "good", "1.0.0")
    machine.have_k3s()
    machine.serve()
    machine.change(version=version)
    done = machine.bootstrap()
    assert done.returncode == 0, done.stdout
    site = machine.folder / "code/current/site"
    named = yaml.safe_load((site / "kustomization.yaml").read_text())["components"]
    assert named == ([] if "1.29" in version else ["../k3s/admission"])
    assert all((site / each / "kustomization.yaml").is_file() for each in named)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_the_policy_is_valid(version: str) -> None:
    for each in policies():
        kubernetes_validate.validate(each, version, strict=True)


def policies() -> list[Object]:
    return list(yaml.safe_load_all((K3S / "admission/services.yaml").read_text()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """A real API server: the emulated one evaluates no policies."""
    with real(tmp_path) as given:
        yield given


@pytest.mark.skipif(binaries() is None, reason="KUBE_APISERVER and ETCD name no API server")
def test_what_services_of_containers_may_be(server: ApiServer) -> None:
    """Of type ClusterIP, with an address of Kubernetes alone; elsewhere all is as before."""
    for each in [*of_kind("Namespace"), *policies()]:
        done = server.apply(each)
        assert done.is_success, done.text
    spec: Object = {"ports": [{"port": 80, "protocol": "TCP"}], "selector": {"a": "b"}}

    def ask(change: Object, namespace: str = "octelium-upstreams", name: str = "web") -> Any:
        service: Object = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {**spec, **change},
        }
        return server.apply(service)

    bad: list[Object] = [
        {"type": "NodePort"},
        {"type": "ExternalName", "externalName": "kubernetes.default.svc", "ports": []},
        {"externalIPs": ["203.0.113.10"]},
        {"clusterIP": "None"},
    ]
    end = time.monotonic() + 300
    # It takes a moment until a new policy is in force.
    while ask(bad[0], name="early").is_success and time.monotonic() < end:
        server.ask("DELETE", "/api/v1/namespaces/octelium-upstreams/services/early")
        time.sleep(0.1)
    for change in bad:
        done = ask(change)
        assert done.status_code == 422, (change, done.text)
        assert "Services in octelium-upstreams" in done.json()["message"]
    done = ask({})
    assert done.status_code == 201, done.text
    assert ask({"ports": [{"port": 81, "protocol": "TCP"}]}).status_code == 200
    for change in bad[:3]:
        done = ask(change)
        assert done.status_code == 422, (change, done.text)
    for number, change in enumerate(bad):
        done = ask(change, "default", f"other-{number}")
        assert done.is_success, done.text
