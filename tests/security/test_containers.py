"""Somebody who may write Services and nothing else gets no further by a container than the image.

Whatever stands in the fields of `upstream.container`, what the controller makes of it reads none of
the Cluster's keys, mounts none of its data, reaches neither its namespace nor the API of
Kubernetes, and keeps to the Pod Security Standard `baseline`.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octelium.controller.objects import Desired, Settings, desired
from octelium.schema.containers import BASELINE_CAPABILITIES, CAPABILITIES
from tests.controller.objects.baseline import violations
from tests.controller.objects.samples import CLUSTER, EVERYTHING, SECRETS, managed
from tests.controller.objects.versions import VERSIONS, fault_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.controller.objects import Manifest

NAMESPACE = "octelium-upstreams"

EVIL = [
    *("../../etc", "/etc", "/var/run/secrets/kubernetes.io/serviceaccount", "/proc/1/root", "/"),
    *("octelium", "octelium/octelium-data", "sys:root-key", "crt-ns-default", "data-octelium-0"),
    *(
        "upstream-svc-other-default-0a1b2c3d-env",
        "hostPath",
        "kubernetes.io/x",
        "a\n- hostPID: true",
    ),
    *("$(HOST)", "{}", "ALL", "SYS_ADMIN", "NET_ADMIN", "NET_RAW", "CAP_CHOWN", "-1", "1e99", ""),
    *("\u202etxt", "x" * 64, "a/b", "a:b", "default", "cpu", "memory", "requests.cpu"),
]
GOOD = [
    *("nginx", "ghcr.io/o/x:v1", "h.test:5000/x@sha256:" + "a" * 64, "db-password", "registry"),
    *("tmp", "data", "aa", "A_B", "a.test/gpu", "nvidia.com/gpu", "ephemeral-storage", "1Gi", "2"),
    *("/data", "/tmp", "x/y", "CHOWN", "NET_BIND_SERVICE", "MKNOD", "theirs", "/live"),
]
TEXT = st.sampled_from(EVIL + GOOD * 4) | st.text(max_size=12)
NUMBER = st.sampled_from([0, 1, 2, 80, 1000, 8080, 65535]) | st.integers(0, 2**32 - 1)
SIGNED = st.sampled_from([0, 1, 2, 5, 60]) | st.integers(-(2**31), 2**31 - 1)

PROBE = st.builds(
    lambda handler, numbers: {**handler, **numbers},
    st.one_of(
        st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"port": NUMBER, "path": TEXT})}),
        st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": NUMBER})}),
        st.fixed_dictionaries({"grpc": st.fixed_dictionaries({"port": NUMBER})}),
    ),
    st.fixed_dictionaries(
        {},
        optional={
            f"{name}{unit}": SIGNED
            for name, unit in (
                ("initialDelay", "Seconds"),
                ("timeout", "Seconds"),
                ("period", "Seconds"),
                ("success", "Threshold"),
                ("failure", "Threshold"),
            )
        },
    ),
)
ENV = st.builds(
    lambda name, value: {"name": name, **value},
    TEXT,
    st.one_of(
        st.fixed_dictionaries({"value": TEXT}),
        st.fixed_dictionaries({"fromSecret": TEXT}),
        st.fixed_dictionaries(
            {"kubernetesSecretRef": st.fixed_dictionaries({"name": TEXT, "key": TEXT})}
        ),
    ),
)
VOLUME = st.builds(
    lambda name, source: {"name": name, **source},
    TEXT,
    st.one_of(
        st.fixed_dictionaries(
            {"emptyDir": st.fixed_dictionaries({}, optional={"sizeLimitMegabytes": NUMBER})}
        ),
        st.fixed_dictionaries(
            {"persistentVolumeClaim": st.fixed_dictionaries({"name": TEXT})}
        ),
    ),
)  # fmt: skip
LISTS = st.lists(TEXT, max_size=2)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "image": TEXT,
    "port": NUMBER,
    "command": LISTS,
    "args": LISTS,
    "env": st.lists(ENV, max_size=2),
    "replicas": NUMBER,
    "credentials": st.fixed_dictionaries(
        {
            "usernamePassword": st.fixed_dictionaries(
                {
                    "username": TEXT,
                    "password": st.fixed_dictionaries({"fromSecret": TEXT}),
                    "server": TEXT,
                }
            )
        }
    ),
    "resourceLimit": st.fixed_dictionaries(
        {
            "cpu": st.fixed_dictionaries({"millicores": NUMBER}),
            "memory": st.fixed_dictionaries({"megabytes": NUMBER}),
            "ext": st.dictionaries(TEXT, TEXT, max_size=2),
        }
    ),
    "securityContext": st.fixed_dictionaries(
        {
            "readOnlyRootFilesystem": st.booleans(),
            "runAsUser": NUMBER,
            "capabilities": st.fixed_dictionaries({"add": LISTS, "drop": LISTS}),
        }
    ),
    "volumes": st.lists(VOLUME, max_size=2),
    "volumeMounts": st.lists(
        st.fixed_dictionaries(
            {"name": TEXT, "mountPath": TEXT, "subPath": TEXT, "readOnly": st.booleans()}
        ),
        max_size=2,
    ),
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
}
"""Fields with texts and numbers of any kind."""
HOSTILE = sorted(FIELDS)

PORT = st.integers(1, 65535)
WORDS = st.lists(st.text(alphabet="aZ0 $()\n\u00e9\U0001f600", max_size=9), max_size=3)
LABEL = st.from_regex(r"[a-z][a-z0-9]{1,9}", fullmatch=True)
SOUND_PROBE = st.builds(
    lambda handler, delay, timeout, period, failures: {
        **handler,
        "initialDelaySeconds": delay,
        "timeoutSeconds": timeout,
        "periodSeconds": period,
        "failureThreshold": failures,
    },
    st.one_of(
        st.builds(lambda port: {"httpGet": {"port": port, "path": "/x"}}, PORT),
        st.builds(lambda port: {"tcpSocket": {"port": port}}, PORT),
        st.builds(lambda port: {"grpc": {"port": port}}, PORT),
    ),
    *[st.integers(0, most) for most in (86400, 86400, 86400, 1000)],
)
VALID = st.builds(
    lambda fields, volumes: {**fields, **volumes},
    st.fixed_dictionaries(
        {},
        optional={
            "image": st.sampled_from(
                ["nginx", "ghcr.io/o/x:v1", "h.test:5000/x@sha256:" + "a" * 64]
            ),
            "port": PORT,
            "command": WORDS,
            "args": WORDS,
            "env": st.lists(
                st.builds(
                    lambda name, value: {"name": name, **value},
                    st.from_regex(r"[-_a-zA-Z][-._a-zA-Z0-9]{0,9}", fullmatch=True),
                    st.sampled_from(
                        [
                            {"value": ""},
                            {"value": "$(X) \u00e9"},
                            {"fromSecret": "db-password"},
                            {"kubernetesSecretRef": {"name": "theirs.v2", "key": "a_B.c-1"}},
                        ]
                    ),
                ),
                max_size=4,
                unique_by=lambda one: one["name"],
            ),
            "replicas": st.integers(0, 100),
            "credentials": st.builds(
                lambda user, server: {
                    "usernamePassword": {
                        "username": user,
                        "password": {"fromSecret": "registry"},
                        "server": server,
                    }
                },
                st.text(alphabet="aZ0 @\u00e9", min_size=1, max_size=9),
                st.sampled_from(["", "ghcr.io", "https://index.docker.io/v1/", "h.test:5000/x"]),
            ),
            "resourceLimit": st.builds(
                lambda cpu, memory, ext: {
                    "cpu": {"millicores": cpu},
                    "memory": {"megabytes": memory},
                    "ext": ext,
                },
                st.integers(0, 2**32 - 1),
                st.integers(0, 2**32 - 1),
                st.dictionaries(
                    st.sampled_from(["nvidia.com/gpu", "a.test/X_y.z", "ephemeral-storage"]),
                    st.builds(
                        lambda count, suffix: f"{count}{suffix}",
                        st.integers(0, 10**6),
                        st.sampled_from(["", "k", "Mi", "Gi", "e3"]),
                    ),
                ),
            ),
            "securityContext": st.builds(
                lambda frozen, user, added, dropped: {
                    "readOnlyRootFilesystem": frozen,
                    "runAsUser": user,
                    "capabilities": {"add": added, "drop": dropped},
                },
                st.booleans(),
                st.integers(0, 2**31 - 1),
                st.lists(st.sampled_from(sorted(BASELINE_CAPABILITIES)), max_size=3),
                st.lists(st.sampled_from(["ALL", *sorted(CAPABILITIES)]), max_size=3),
            ),
            "livenessProbe": SOUND_PROBE,
            "readinessProbe": SOUND_PROBE,
        },
    ),
    st.builds(
        lambda names, claim, size: {
            "volumes": [
                {
                    "name": name,
                    **(
                        {"persistentVolumeClaim": {"name": "data.v1"}}
                        if claim
                        else {"emptyDir": {"sizeLimitMegabytes": size}}
                    ),
                }
                for name in names
            ],
            "volumeMounts": [
                {"name": name, "mountPath": f"/m/{name}", "subPath": name, "readOnly": claim}
                for name in names
            ],
        },
        st.lists(LABEL, max_size=3, unique=True),
        st.booleans(),
        st.integers(0, 2**32 - 1),
    ),
)
"""Containers that `apply` takes."""

POD_FIELDS = {
    *("automountServiceAccountToken", "enableServiceLinks", "hostname", "dnsPolicy", "dnsConfig"),
    *("securityContext", "containers", "imagePullSecrets", "volumes"),
}
CONTAINER_FIELDS = {
    *("name", "image", "imagePullPolicy", "command", "args", "env", "ports", "resources"),
    *("securityContext", "volumeMounts", "livenessProbe", "readinessProbe"),
}


def made(container: dict[str, Any], **options: Any) -> Desired:
    return desired(managed(container, **options), CLUSTER, Settings())


def check(found: Desired) -> None:
    """Everything that must hold for the objects of a container."""
    kinds = [manifest["kind"] for manifest in found.objects]
    assert [kind for kind in kinds if kind != "Secret"] == [
        "NetworkPolicy",
        "Service",
        "Deployment",
    ]
    for manifest in found.objects:
        assert manifest["metadata"]["namespace"] == NAMESPACE
        assert manifest["metadata"]["name"] in {
            found.name,
            f"{found.name}-env",
            f"{found.name}-registry",
        }
        assert manifest["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    policy, service, deployment = (m["spec"] for m in found.objects if m["kind"] != "Secret")
    check_pod(deployment["template"]["spec"], found.name)
    annotations = deployment["template"]["metadata"].get("annotations", {})
    assert violations(deployment["template"]["spec"], annotations) == []
    labels = deployment["template"]["metadata"]["labels"].items()
    for chosen in (
        policy["podSelector"]["matchLabels"],
        service["selector"],
        deployment["selector"]["matchLabels"],
    ):
        assert chosen
        assert chosen.items() <= labels
    assert service.keys() == {"type", "externalIPs", "selector", "ports"}
    assert (service["type"], service["externalIPs"]) == ("ClusterIP", [])
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [list(rule["from"][0]) for rule in policy["ingress"]] == [
        ["namespaceSelector", "podSelector"]
    ]


def check_pod(pod: Manifest, name: str) -> None:
    assert pod.keys() <= POD_FIELDS
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    (container,) = pod["containers"]
    assert container.keys() <= CONTAINER_FIELDS
    assert container["securityContext"]["privileged"] is False
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    dropped = container["securityContext"]["capabilities"]["drop"]
    assert {"ALL", "NET_RAW"} & set(dropped)
    for volume in pod.get("volumes", []):
        assert volume.keys() - {"name"} in ({"emptyDir"}, {"persistentVolumeClaim"})
        assert "/" not in volume.get("persistentVolumeClaim", {}).get("claimName", "")
    for reference in secret_references(pod):
        assert "/" not in reference
        assert reference in {f"{name}-env", f"{name}-registry"} or not reference.startswith(
            "upstream-svc-"
        )
    for mount in container.get("volumeMounts", []):
        assert ".." not in mount.get("subPath", "").split("/")
        assert not mount.get("subPath", "").startswith("/")


def secret_references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from secret_references(entry)
    elif isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]["name"]
        yield from (entry["name"] for entry in value.get("imagePullSecrets", ()))
        for child in value.values():
            yield from secret_references(child)


@given(VALID, st.lists(st.sampled_from(HOSTILE), max_size=2, unique=True), st.data())
@example(EVERYTHING, [], None)
def test_whatever_a_container_says(
    sound: dict[str, Any], fields: list[str], data: st.DataObject
) -> None:
    container = sound | {field: data.draw(FIELDS[field]) for field in fields}
    found = made(container)
    assert bool(found.objects) != bool(found.problems)
    if found.objects:
        check(found)


@given(VALID, st.sampled_from(VERSIONS))
@example(EVERYTHING, VERSIONS[0])
def test_whatever_is_stored_becomes_objects_that_kubernetes_takes(
    container: dict[str, Any], version: str
) -> None:
    found = made(container)
    assert found.problems == ()
    check(found)
    for manifest in found.objects:
        assert fault_on(manifest, version) == "", manifest["kind"]


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "A", "fromSecret": "sys:root-key"}]},
        {"env": [{"name": "A", "fromSecret": "crt-ns-default"}]},
        {"env": [{"name": "A", "kubernetesSecretRef": {
            "name": "upstream-svc-x-default-0a1b2c3d-env", "key": "db-password"}}]},
        {"env": [{"name": "A", "kubernetesSecretRef": {"name": "octelium/keys", "key": "k"}}]},
        {"volumes": [{"name": "aa", "persistentVolumeClaim": {"name": "octelium/data"}}]},
        {"volumes": [{"name": "aa", "emptyDir": {}}],
         "volumeMounts": [{"name": "aa", "mountPath": "/x", "subPath": "../../../etc"}]},
        {"volumes": [{"name": "aa", "emptyDir": {}}],
         "volumeMounts": [{"name": "aa", "mountPath": "/proc/sys"}]},
        {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
        {"securityContext": {"capabilities": {"add": ["ALL"], "drop": ["ALL"]}}},
        {"securityContext": {"capabilities": {"add": ["NET_RAW"]}}},
        {"resourceLimit": {"ext": {"memory": "1Ti"}}},
        {"credentials": {"usernamePassword": {
            "username": "u", "password": {"fromSecret": "sys:root-key"}}}},
    ],
)  # fmt: skip
def test_attacks_are_refused_even_where_they_are_stored(container: dict[str, Any]) -> None:
    """The controller does not rely on what control has checked."""
    secrets = dict.fromkeys(("sys:root-key", "crt-ns-default"), SECRETS["registry"])
    found = made(container, secrets=secrets)
    assert found.objects == ()
    assert found.problems


def test_a_secret_holds_what_its_container_names_and_nothing_else() -> None:
    (env,) = (m for m in made(EVERYTHING).objects if m["metadata"]["name"].endswith("-env"))
    assert {key: base64.b64decode(value) for key, value in env["data"].items()} == {
        "db-password": b"hunter2"
    }
    assert "registry" not in json.dumps(env["data"])


@pytest.mark.parametrize(
    ("pod", "broken"),
    [
        ({"hostNetwork": True, "hostPID": True, "hostIPC": True},
         ["hostNetwork", "hostPID", "hostIPC"]),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, ["hostPath v"]),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
         ["sysctl kernel.msgmax"]),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, ["seccompProfile"]),
        ({"securityContext": {"windowsOptions": {"hostProcess": True}}}, ["hostProcess"]),
        ({"securityContext": {"seLinuxOptions": {"user": "u"}}}, ["seLinuxOptions"]),
        ({"containers": [{"securityContext": {"privileged": True}}]}, ["privileged"]),
        ({"initContainers": [{"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}]},
         ["capability NET_RAW"]),
        ({"containers": [{"securityContext": {"procMount": "Unmasked"}}]}, ["procMount"]),
        ({"containers": [{"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}]},
         ["appArmorProfile"]),
        ({"containers": [{"ports": [{"hostPort": 80}]}]}, ["hostPort"]),
        ({"containers": [{"livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}]},
         ["host of a probe"]),
        ({"containers": [{"securityContext": {"privileged": False}}]}, []),
    ],
)  # fmt: skip
def test_what_breaks_the_baseline_is_seen(pod: dict[str, Any], broken: list[str]) -> None:
    assert violations(pod, {}) == broken
