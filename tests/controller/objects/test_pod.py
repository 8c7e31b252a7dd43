from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.pod import pod_spec
from octelium.controller.objects.settings import Settings
from tests.controller.objects.samples import CONTAINERS, managed


def pod(container: dict[str, Any], pull: str | None = None, **settings: Any) -> dict[str, Any]:
    return pod_spec(managed(container), Settings(**settings), env_secret="x-env", pull_secret=pull)


def test_a_pod_knows_nothing_of_kubernetes() -> None:
    made = pod({})
    assert made["automountServiceAccountToken"] is False
    assert made["enableServiceLinks"] is False
    assert made["hostname"] == "octelium"
    assert made["dnsPolicy"] == "None"
    assert made["dnsConfig"] == {"nameservers": ["8.8.8.8", "1.1.1.1"]}
    assert not made.keys() & {"volumes", "imagePullSecrets", "serviceAccountName"}


def test_name_servers_come_from_the_settings() -> None:
    assert pod({}, name_servers=("10.0.0.1",))["dnsConfig"] == {"nameservers": ["10.0.0.1"]}
    with pytest.raises(ValueError, match="4 name servers"):
        pod({}, name_servers=("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"))


def test_the_container() -> None:
    (made,) = pod({"image": "h.test/x:1", "port": 8080})["containers"]
    assert made["name"] == "backend"
    assert made["image"] == "h.test/x:1"
    assert made["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert not made.keys() & {"command", "args", "env", "volumeMounts", "livenessProbe"}


def test_command_and_arguments() -> None:
    (made,) = pod(CONTAINERS["command"])["containers"]
    assert made["command"] == ["/bin/x", ""]
    assert made["args"] == ["--a=$(A)", "two\nlines"]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "Always"),
        ("ghcr.io/o/private:v1", "Always"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
    ],
)
def test_an_image_that_may_change_is_pulled_again(image: str, policy: str) -> None:
    (made,) = pod({"image": image})["containers"]
    assert made["imagePullPolicy"] == policy


def test_variables_of_all_forms() -> None:
    (made,) = pod(
        {
            "env": [
                {"name": "A", "value": "x"},
                {"name": "B", "value": ""},
                {"name": "C", "fromSecret": "db-password"},
                {"name": "D", "kubernetesSecretRef": {"name": "theirs", "key": "k"}},
            ]
        }
    )["containers"]
    assert made["env"] == [
        {"name": "A", "value": "x"},
        {"name": "B"},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "x-env", "key": "db-password"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "k"}}},
    ]


def test_images_are_pulled_with_the_secret_of_the_registry() -> None:
    assert pod({}, "x-registry")["imagePullSecrets"] == [{"name": "x-registry"}]


def test_volumes_and_mounts() -> None:
    made = pod(CONTAINERS["claim"])
    assert [one["name"] for one in made["volumes"]] == ["tmp"]
    assert made["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
