"""The manifests of k3s/: valid, admitted, with the least rights, built by a kustomization."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml

from octelium.cluster.controller_command import controller
from tests.conftest import SOAK
from tests.install.api_servers import ApiServer, emulated, kubectl, place, real
from tests.install.k3s_machine import ADDRESS, ADDRESS6, K3sMachine, k3s_release
from tests.install.manifests import K3S, RIGHTS, VERSIONS, manifests, of_kind, pod_spec
from tests.install.test_scripts import SHELLS, function, run
from tests.peers.kubernetes.real import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    Object = dict[str, Any]

FORBIDDEN = (
    ("create", "", "pods", "octelium-upstreams"),
    ("create", "", "pods/exec", "octelium-upstreams"),
    ("delete", "", "pods", "octelium-upstreams"),
    ("create", "", "serviceaccounts/token", "octelium-upstreams"),
    ("get", "", "configmaps", "octelium-upstreams"),
    ("create", "", "persistentvolumeclaims", "octelium-upstreams"),
    ("delete", "coordination.k8s.io", "leases", "octelium-upstreams"),
    ("create", "rbac.authorization.k8s.io", "rolebindings", "octelium-upstreams"),
    ("escalate", "rbac.authorization.k8s.io", "roles", "octelium-upstreams"),
    ("get", "", "secrets", "octelium"),
    ("list", "", "secrets", ""),
    ("get", "", "pods", "octelium"),
    ("patch", "apps", "statefulsets", "octelium"),
    ("get", "", "secrets", "kube-system"),
    ("list", "", "nodes", ""),
    ("list", "", "namespaces", ""),
)
EVERYBODYS = "selfsubject"
"""What each account may ask about itself begins so."""


def containers() -> dict[str, Object]:
    return {each["name"]: each for each in pod_spec()["containers"]}


REAL = pytest.param(
    "real",
    marks=pytest.mark.skipif(
        binaries() is None, reason="KUBE_APISERVER and ETCD name no API server"
    ),
)
long = pytest.mark.skipif(not SOAK, reason="a further case: OCTELIUM_SOAK=1")
needs_kubectl = pytest.mark.skipif(
    not SOAK and not kubectl(), reason="no kubectl 1.31 or newer here (KUBECTL names one)"
)


def run_kubectl(*words: str | Path) -> str:
    with tempfile.TemporaryDirectory() as cache:
        program = [kubectl(), "--cache-dir", cache]
        done = subprocess.run([*program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(
    scope="module",
    params=["emulated", REAL],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """An API server with all manifests applied."""
    made = emulated() if request.param == "emulated" else real(tmp_path_factory.mktemp("api"))
    with made as given:
        for each in manifests():
            done = given.apply(each)
            assert done.is_success, done.text
        yield given


@pytest.mark.parametrize("version", VERSIONS)
def test_they_are_valid(version: str) -> None:
    for each in manifests():
        kubernetes_validate.validate(each, version, strict=True)


def test_nothing_holds_for_the_whole_of_kubernetes() -> None:
    """But how the Cluster's Pod ranks among those of the node."""
    places = {
        each["metadata"].get("namespace")
        for each in manifests()
        if each["kind"] not in ("Namespace", "PriorityClass")
    }
    assert places == {"octelium", "octelium-upstreams"}
    for each in of_kind("NetworkPolicy"):
        if each["metadata"]["name"] == "default-deny":
            assert each["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    denied = [each["metadata"]["namespace"] for each in of_kind("NetworkPolicy")]
    assert sorted(set(denied)) == ["octelium", "octelium-upstreams"]


def test_one_container_has_a_token() -> None:
    """Nothing else has one, and it shares no more than the folder of a socket."""
    spec = pod_spec()
    assert spec["automountServiceAccountToken"] is False
    assert all(each["automountServiceAccountToken"] is False for each in of_kind("ServiceAccount"))
    (token,) = (each for each in spec["volumes"] if "projected" in each)
    mounted = {
        each["name"]: each["mountPath"] for each in containers()["controller"]["volumeMounts"]
    }
    assert mounted[token["name"]] == "/var/run/secrets/kubernetes.io/serviceaccount"
    other = {each["name"]: each["mountPath"] for each in containers()["cluster"]["volumeMounts"]}
    assert set(mounted) & set(other) == {"feed"}
    assert mounted["feed"] == other["feed"] == "/run/octelium"
    assert "hostPath" not in str(spec["volumes"])


def test_only_the_front_door_is_open() -> None:
    """Health, metrics and the controller are for the kubelet, which comes from the node."""
    (policy,) = (
        each for each in of_kind("NetworkPolicy") if each["metadata"]["name"] == "octelium"
    )
    assert policy["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8443}]}]
    labels = of_kind("StatefulSet")[0]["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    (service,) = of_kind("Service")
    assert service["spec"]["selector"] == labels
    assert [each["targetPort"] for each in service["spec"]["ports"]] == ["https"]


def test_the_pod_is_admitted(server: ApiServer) -> None:
    """Under `restricted`; and each thing that this forbids is refused."""
    template = of_kind("StatefulSet")[0]["spec"]["template"]
    volumes = [*template["spec"]["volumes"], {"name": "data", "emptyDir": {}}]
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "octelium-0", "namespace": "octelium"},
        "spec": {**template["spec"], "volumes": volumes},
    }
    path = f"{place(pod)}?dryRun=All"
    done = server.ask("POST", path, pod)
    assert done.status_code == 201, done.text
    changes: list[Object] = [
        {"securityContext": {"fsGroup": 10001}},
        {"hostNetwork": True},
        {"volumes": [*volumes, {"name": "root", "hostPath": {"path": "/"}}]},
    ]
    for change in changes:
        refused = server.ask("POST", path, {**pod, "spec": {**pod["spec"], **change}})
        assert refused.status_code == 403, change
        assert 'violates PodSecurity "restricted' in refused.json()["message"]


def test_no_container_ranks_with_the_cluster(server: ApiServer) -> None:
    """Its PriorityClass, and those of Kubernetes itself, are for none in `octelium-upstreams`."""
    template = of_kind("StatefulSet")[0]["spec"]["template"]
    volumes = [*template["spec"]["volumes"], {"name": "data", "emptyDir": {}}]
    spec = {**template["spec"], "volumes": volumes, "serviceAccountName": "default"}
    for quota in of_kind("ResourceQuota"):
        # As the controller of quotas does it, which is not there.
        hard = quota["spec"]["hard"]
        path = f"{place(quota)}/{quota['metadata']['name']}/status"
        status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
        done = server.ask("PATCH", path, {"status": status}, sort="application/merge-patch+json")
        assert done.is_success, done.text

    def ask(**change: str) -> httpx.Response:
        meta = {"name": "one", "namespace": "octelium-upstreams"}
        given = {key: value for key, value in spec.items() if key != "priorityClassName"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**given, **change}}
        return server.ask("POST", f"{place(pod)}?dryRun=All", pod)

    for name in ("octelium", "system-cluster-critical", "system-node-critical"):
        done = ask(priorityClassName=name)
        assert done.status_code == 403, done.text
        assert "exceeded quota: octelium-upstreams-priority" in done.json()["message"]
    done = ask()
    assert done.status_code == 201, done.text


def test_rights(server: ApiServer) -> None:
    """The Pod's account may do what the controller does, and nothing else."""
    token = server.token_of(server, "octelium", "octelium")
    for namespace, rights in (("octelium-upstreams", RIGHTS), ("octelium", {}), ("default", {})):
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        found = server.ask("POST", path, body, token=token).json()["status"]["resourceRules"]
        given = {
            (group, resource): tuple(sorted(rule["verbs"]))
            for rule in found
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            if not resource.startswith(EVERYBODYS)
        }
        assert given == rights, namespace


@pytest.mark.parametrize(("verb", "group", "resource", "namespace"), FORBIDDEN)
def test_what_is_forbidden(
    server: ApiServer, verb: str, group: str, resource: str, namespace: str
) -> None:
    token = server.token_of(server, "octelium", "octelium")
    name, _, part = resource.partition("/")
    asked = {"verb": verb, "group": group, "resource": name, "subresource": part}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**asked, "namespace": namespace}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    review = server.ask("POST", path, body, token=token).json()
    assert review["status"]["allowed"] is False


def test_clouds_tell_nothing_about_the_machine() -> None:
    """The addresses at which they do, by their documentation, are closed to the Cluster's Pod."""
    (policy,) = (
        each for each in of_kind("NetworkPolicy") if each["metadata"]["name"] == "octelium"
    )
    (rule,) = policy["spec"]["egress"]
    blocks = [each["ipBlock"] for each in rule["to"] if "ipBlock" in each]
    for text, is_open in (
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("fe80::a9fe:a9fe", False),
        ("9.9.9.9", True),
        ("192.168.0.1", True),
        ("2600::1", True),
        ("fd42::1", True),
    ):
        address = ipaddress.ip_address(text)
        found = [
            each
            for each in blocks
            if address in ipaddress.ip_network(each["cidr"])
            and not any(address in ipaddress.ip_network(one) for one in each["except"])
        ]
        assert bool(found) == is_open, text


def controller_of(workload: Object) -> Object:
    return next(
        each
        for each in workload["spec"]["template"]["spec"]["containers"]
        if each["name"] == "controller"
    )


def test_what_bootstrap_writes_is_taken_in(server: ApiServer, tmp_path: Path) -> None:
    """The site's patches over the manifests, merged by the API server, as a kustomization is."""
    machine = K3sMachine(tmp_path / "machine")
    k3s_release(machine.folder / "good", "1.0.0")
    machine.have_k3s()
    machine.serve()
    done = machine.bootstrap()
    assert done.returncode == 0, done.stdout
    site = machine.folder / "code/current/site"
    patch = yaml.safe_load((site / "statefulset.yaml").read_text())
    path = "/apis/apps/v1/namespaces/octelium/statefulsets/octelium?dryRun=All"
    sort = "application/strategic-merge-patch+json"
    made = server.ask("PATCH", path, patch, sort=sort)
    assert made.status_code == 200, made.text
    container = controller_of(made.json())
    variables = {each["name"]: each for each in container["env"]}
    assert variables["OCTELIUM_UPSTREAMS_REFUSE"]["valueFrom"]["fieldRef"]["fieldPath"] == (
        "status.hostIPs"
    )
    assert variables["NODE_NETWORKS"]["value"] == f"2001:db8:0:0::/64,{ADDRESS}"
    own = {"name": "OCTELIUM_UPSTREAMS_REFUSE", "value": ADDRESS}
    twice = {"spec": {"containers": [{"name": "controller", "env": [own]}]}}
    refused = server.ask("PATCH", path, {"spec": {"template": twice}}, sort=sort)
    assert refused.status_code == 422, refused.text
    assert "may not be specified when `value` is not empty" in refused.json()["message"]


def expanded(word: str, values: dict[str, str]) -> str:
    """A word of a command, as the kubelet expands its variables."""
    return re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], word)


def test_all_addresses_of_the_node_are_refused_to_containers() -> None:
    """What Kubernetes and bootstrap.sh say of them reaches the controller as one option."""
    container = controller_of(of_kind("StatefulSet")[0])
    for host, networks in (
        ("203.0.113.10,2001:db8::10", "198.51.100.7,2001:db8:0:1::/64"),
        ("203.0.113.10", ""),
    ):
        values = {"POD_NAME": "octelium-0", "OCTELIUM_UPSTREAMS_REFUSE": host}
        values["NODE_NETWORKS"] = networks
        assert set(values) < {each["name"] for each in container["env"]}
        words = [expanded(word, values) for word in container["command"]]
        assert words[:2] == ["octelium", "controller"]
        context = controller.make_context("controller", words[2:])
        refused = {ipaddress.ip_network(text) for text in context.params["refuse"]}
        given = [text for text in f"{host},{networks}".split(",") if text]
        assert refused == {ipaddress.ip_network(text) for text in given}


@pytest.mark.parametrize("shell", SHELLS)
def test_addresses_that_the_node_has(tmp_path: Path, shell: str) -> None:
    """Of ip-address(8): public ones, IPv6 as the network in which temporary ones come and go."""
    lines = (
        "1: lo    inet 127.0.0.1/8 scope host lo",
        "1: lo    inet6 ::1/128 scope host noprefixroute",
        "1: lo    inet 8.8.4.4/32 scope global lo",
        "2: eth0    inet 9.9.9.9/24 brd 9.9.9.255 scope global dynamic eth0\\  valid_lft 1sec",
        "2: eth0    inet 10.1.2.3/8 scope global eth0",
        "2: eth0    inet 100.101.2.3/32 scope global eth0",
        "2: eth0    inet6 2a01:4f8:1:2:3:4:5:6/64 scope global temporary dynamic",
        "2: eth0    inet6 2a01:4f8:1:2::6/128 scope global",
        "2: eth0    inet6 2600::1/64 scope global",
        "2: eth0    inet6 2600:1::2:3:4:5/64 scope global",
        "2: eth0    inet6 2600:1:2:3:4:5:6::/64 scope global",
        "2: eth0    inet6 fe80::1/64 scope link",
        "3: cni0    inet6 fd42::1/64 scope global",
        "4: tun0    inet 1.0.0.1 peer 1.0.0.2/32 scope global tun0",
    )
    script = function("k3s/bootstrap.sh", "node_networks")
    (tmp_path / "said").write_text("\n".join(lines) + "\n")
    (tmp_path / "ip").write_text(f"#!/bin/sh\ncat {tmp_path}/said\n")
    (tmp_path / "ip").chmod(0o755)
    (tmp_path / "run.sh").write_text(f"{script}\nnode_networks\n")
    done = run(shell, tmp_path / "run.sh", path=f"{tmp_path}:{os.defpath}")
    assert (done.returncode, done.stderr) == (0, "")
    assert {ipaddress.ip_network(text) for text in done.stdout.split(",")} == {
        ipaddress.ip_network(text)
        for text in (
            "8.8.4.4", "9.9.9.9", "1.0.0.1", "2a01:4f8:1:2::/64", "2600::/64", "2600:1::/64",
            "2600:1:2:3::/64",
        )
    }  # fmt: skip


@needs_kubectl
def test_the_kustomization(server: ApiServer) -> None:
    """kubectl builds it of these files, and applies it again without a change."""
    built = list(yaml.safe_load_all(run_kubectl("kustomize", K3S)))
    assert {(each["kind"], each["metadata"]["name"]) for each in built} == {
        (each["kind"], each["metadata"]["name"]) for each in manifests()
    }
    versions: list[list[str]] = []
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=octelium-bootstrap")
    for _ in range(2):
        said = run_kubectl("--kubeconfig", server.kubeconfig, *words, "-k", K3S)
        assert said.count("serverside-applied") == len(built)
        asked = [server.ask("GET", f"{place(each)}/{each['metadata']['name']}") for each in built]
        versions.append([done.json()["metadata"]["resourceVersion"] for done in asked])
    assert versions[0] == versions[1]


@needs_kubectl
@pytest.mark.parametrize(
    "options",
    [
        (),
        pytest.param(("--public-port", "8443"), marks=long),
        pytest.param(("--tunnel", "on"), marks=long),
    ],
)
def test_what_bootstrap_applies(
    server: ApiServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """By a real kubectl, which also says what of Kubernetes it looks at."""
    machine = K3sMachine(tmp_path / "machine")
    k3s_release(machine.folder / "good", "1.0.0")
    always = f"--kubeconfig {server.kubeconfig} --cache-dir {tmp_path}"
    program = machine.write("kubectl", f'#!/bin/sh\nexec {kubectl()} {always} "$@"\n')
    program.chmod(0o755)
    machine.change(server=str(program))
    machine.add(
        "nodes",
        {
            **machine.state["objects"]["nodes"][0],
            "spec": {"podCIDRs": ["10.42.0.0/24", "fd42::/64"]},
        },
    )
    machine.write("ipv6", "")
    machine.have_k3s()
    machine.serve()
    done = machine.bootstrap("good", *options, "--skip-check", "tunnel")
    assert done.returncode == 0, done.stdout
    made = server.ask("GET", "/api/v1/namespaces/octelium/services/octelium").json()["spec"]
    assert made["type"] == "ClusterIP"
    assert made["externalIPs"] == [ADDRESS, ADDRESS6]
    assert made["externalTrafficPolicy"] == "Local"
    port = 8443 if "8443" in options else 443
    ports = {(each["protocol"], each["port"]) for each in made["ports"]}
    assert ports == {("TCP", port)} | ({("UDP", 53820)} if "--tunnel" in options else set())
    workload = server.ask("GET", "/apis/apps/v1/namespaces/octelium/statefulsets/octelium").json()
    images = {each["image"] for each in workload["spec"]["template"]["spec"]["containers"]}
    assert images == {"docker.io/library/octelium:1.0.0"}
    built = run_kubectl("kustomize", machine.folder / "code/current/site")
    for version in VERSIONS:
        for each in yaml.safe_load_all(built):
            if version == "1.29" and each["kind"].startswith("ValidatingAdmission"):
                continue  # it has none
            kubernetes_validate.validate(each, version, strict=True)
