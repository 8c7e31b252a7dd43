"""Drift is what the controller sent and no longer finds; whatever else there is, is not."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.drift import additions, drift, owned_by, quantity

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAF = st.one_of(
    st.text(min_size=1, max_size=5), st.integers(-5, 99999), st.booleans(), st.just("")
)
_NAMES = st.sampled_from(["image", "spec", "template", "labels", "command", "ports", "other"])
_VALUES = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.dictionaries(_NAMES, inner, max_size=4),
        st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3),
        st.lists(inner.filter(lambda one: not isinstance(one, dict)), min_size=1, max_size=3),
    ),
    max_leaves=20,
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=5)


def deployment() -> dict[str, Any]:
    """An object with everything that is compared in a way of its own."""
    return {
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "spec": {
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "name": "upstream",
                            "image": "nginx",
                            "args": ["-a", "-b"],
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "env": [
                                {"name": "A", "value": ""},
                                {
                                    "name": "B",
                                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
                                },
                            ],
                            "resources": {"limits": {"cpu": "1", "memory": "512Mi"}},
                            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                        }
                    ],
                    "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
                }
            },
        },
    }


def pod(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["spec"]["template"]["spec"]
    return found


def added_to(value: Any, name: str) -> Any:
    """`value` with something foreign beside everything in each of its maps."""
    if isinstance(value, dict):
        return {**{key: added_to(one, key) for key, one in value.items()}, "foreign": {"x": 1}}
    return value


@given(_OBJECTS)
def test_an_object_has_no_drift_from_itself(value: dict[str, Any]) -> None:
    assert drift(value, copy.deepcopy(value)) == ()


@given(_OBJECTS)
def test_what_others_add_is_left_alone(value: dict[str, Any]) -> None:
    assert drift(value, added_to(value, "")) == ()


@given(_OBJECTS.filter(bool), st.data())
def test_every_owned_leaf_is_judged(value: dict[str, Any], data: st.DataObject) -> None:
    found = copy.deepcopy(value)
    at: Any = found
    path: list[str] = []
    while isinstance(at, dict) and at:
        name = data.draw(st.sampled_from(sorted(at)))
        path.append(name)
        holder, at = at, at[name]
    if at in ("", [], {}):
        return
    holder[path[-1]] = "something else entirely"
    assert drift(value, found) == (".".join(path),)
    del holder[path[-1]]
    assert drift(value, found) == (".".join(path),)


def test_the_empty_is_as_the_absent_for_texts_and_lists_only() -> None:
    assert drift({"a": "", "b": [], "c": None}, {}) == ()
    assert drift({"a": False, "b": 0, "c": {}}, {}) == ("a", "b", "c")


def test_what_the_server_adds_to_a_deployment_is_no_drift() -> None:
    found = deployment()
    found["spec"].update(strategy={"type": "RollingUpdate"}, revisionHistoryLimit=10)
    found["metadata"]["labels"]["team"] = "x"
    spec = pod(found)
    spec.update(schedulerName="default-scheduler", securityContext={})
    container = spec["containers"][0]
    container.update(terminationMessagePath="/dev/termination-log")
    del container["env"][0]["value"]
    container["env"].insert(0, {"name": "FOREIGN", "value": "1"})
    container["ports"][0]["name"] = "http"
    container["resources"]["limits"] = {"cpu": "1000m", "memory": "0.5Gi", "x.io/gpu": "1"}
    spec["volumes"][0]["emptyDir"]["sizeLimit"] = "1073741824"
    spec["containers"].insert(0, {"name": "sidecar", "image": "mesh"})
    assert drift(deployment(), found) == ()


def change(path: str, value: Any) -> Any:
    """A changer of one field; numbers in `path` are indices."""

    def changed(found: Any) -> None:
        *parts, last = [int(one) if one.isdigit() else one for one in path.split("/")]
        for part in parts:
            found = found[part]
        found[last] = value

    return changed


CONTAINER = "spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        (change("spec/replicas", 3), "spec.replicas"),
        (change("spec/replicas", True), "spec.replicas"),
        (change("metadata/labels", {}), "metadata.labels.a"),
        (change("spec/selector/matchLabels/c", "d"), "spec.selector.matchLabels"),
        (
            change("spec/template/spec/automountServiceAccountToken", True),
            "spec.template.spec.automountServiceAccountToken",
        ),
        (change(f"{CONTAINER}/image", "evil"), "spec.template.spec.containers[upstream].image"),
        (
            change(f"{CONTAINER}/args", ["-b", "-a"]),
            "spec.template.spec.containers[upstream].args[0]",
        ),
        (change(f"{CONTAINER}/args", ["-a"]), "spec.template.spec.containers[upstream].args"),
        (change(f"{CONTAINER}/name", "other"), "spec.template.spec.containers[upstream]"),
        (
            change(f"{CONTAINER}/env/0/value", "x"),
            "spec.template.spec.containers[upstream].env[A].value",
        ),
        (
            change(f"{CONTAINER}/env/1/valueFrom/secretKeyRef/optional", True),
            "spec.template.spec.containers[upstream].env[B].valueFrom.secretKeyRef",
        ),
        (
            change(f"{CONTAINER}/resources/limits/cpu", "1001m"),
            "spec.template.spec.containers[upstream].resources.limits.cpu",
        ),
        (
            change(f"{CONTAINER}/volumeMounts/0/mountPath", "/etc"),
            "spec.template.spec.containers[upstream].volumeMounts[/v]",
        ),
        (
            change(f"{CONTAINER}/ports/0/protocol", "UDP"),
            "spec.template.spec.containers[upstream].ports[80]",
        ),
        (
            change("spec/template/spec/volumes/0", {"name": "v", "hostPath": {"path": "/"}}),
            "spec.template.spec.volumes[v].emptyDir",
        ),
        (change("spec/template/spec/containers", None), "spec.template.spec.containers"),
        (change("spec/template/spec", "text"), "spec.template.spec"),
    ],
)
def test_what_others_change_of_ours_is_drift(changed: Any, path: str) -> None:
    found = deployment()
    changed(found)
    assert drift(deployment(), found)[:1] == (path,)


def test_the_rules_of_a_network_policy_are_one_value() -> None:
    wanted = {"spec": {"egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}}
    found = copy.deepcopy(wanted)
    assert drift(wanted, found) == ()
    found["spec"]["egress"][0]["ports"].append({"port": 80, "protocol": "TCP"})
    assert drift(wanted, found) == ("spec.egress[0].ports",)
    found["spec"]["egress"] = [*wanted["spec"]["egress"], {}]
    assert drift(wanted, found) == ("spec.egress",)


def policy() -> dict[str, Any]:
    """A NetworkPolicy."""
    peer = {"podSelector": {"matchLabels": {"a": "b"}}}
    return {
        "kind": "NetworkPolicy",
        "spec": {
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [peer], "ports": [{"port": 80, "protocol": "TCP"}]}],
            "egress": [],
        },
    }


def service() -> dict[str, Any]:
    """A Service of Kubernetes."""
    port = {"port": 80, "targetPort": 80, "protocol": "TCP"}
    return {
        "kind": "Service",
        "spec": {
            "type": "ClusterIP",
            "externalIPs": [],
            "selector": {"a": "b"},
            "ports": [port],
        },
    }


@pytest.mark.parametrize(
    ("wanted", "changed", "path"),
    [
        (policy, change("spec/ingress/0/ports/0/endPort", 65535), "spec.ingress"),
        (policy, change("spec/ingress/0/from/0/ipBlock", {"cidr": "0.0.0.0/0"}), "spec.ingress"),
        (policy, change("spec/egress", [{}]), "spec.egress"),
        (policy, change("spec/policyTypes", ["Ingress"]), "spec.policyTypes"),
        (service, change("spec/ports/0/nodePort", 30000), "spec.ports"),
        (service, change("spec/externalIPs", ["192.0.2.1"]), "spec.externalIPs"),
        (service, change("spec/type", "NodePort"), "spec.type"),
        (service, change("spec/selector/c", "d"), "spec.selector"),
    ],
)
def test_what_a_container_reaches_and_who_reaches_it_is_judged_whole(
    wanted: Callable[[], dict[str, Any]], changed: Any, path: str
) -> None:
    found = wanted()
    changed(found)
    assert drift(wanted(), found) == (path,)


def test_ports_that_others_add_to_a_service_are_drift() -> None:
    found = service()
    found["spec"]["ports"].insert(0, {"port": 22, "targetPort": 22, "protocol": "TCP"})
    assert drift(service(), found) == additions(service(), found) == ("spec.ports",)


def test_what_the_server_leaves_out_of_what_is_whole_is_no_drift() -> None:
    found = policy()
    del found["spec"]["egress"]
    assert drift(policy(), found) == ()
    found = service()
    del found["spec"]["externalIPs"]
    found["spec"] |= {"clusterIP": "10.0.0.1", "sessionAffinity": "None"}
    assert drift(service(), found) == ()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        (7, "7"),
        ("1000m", "1"),
        ("0.5", "0.5"),
        ("512Mi", "536870912"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1e18"),
        (".5Gi", "536870912"),
        ("-3n", "-3e-9"),
    ],
)
def test_quantities(text: object, number: str) -> None:
    assert quantity(text) == Decimal(number)


@given(st.one_of(st.text(), st.none(), st.booleans(), st.floats(), st.lists(st.text())))
def test_anything_else_is_no_quantity_or_a_number(value: object) -> None:
    found = quantity(value)
    assert found is None or found.is_finite()


@pytest.mark.parametrize(
    "text", ["", ".", "Mi", "1 Mi", "1KI", "1e", "++1", "0x10", "1mm", "\u0661"]
)
def test_no_quantities(text: str) -> None:
    assert quantity(text) is None


def test_who_applied_it() -> None:
    entries: list[dict[str, Any]] = [
        {"manager": "kubectl", "operation": "Apply"},
        {"manager": "me", "operation": "Update"},
        {"manager": "me", "operation": "Apply", "subresource": "status"},
    ]
    value = {"metadata": {"managedFields": entries}}
    assert not owned_by(value, "me")
    assert not owned_by({"metadata": {}}, "me")
    entries.append({"manager": "me", "operation": "Apply"})
    assert owned_by(value, "me")
