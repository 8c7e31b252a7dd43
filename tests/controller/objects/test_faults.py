from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.faults import faults_of
from octelium.controller.objects.settings import Settings
from tests.controller.objects.samples import CONTAINERS, EVERYTHING, managed


@pytest.mark.parametrize("container", [*CONTAINERS.values(), EVERYTHING])
def test_what_apply_takes_has_none(container: dict[str, Any]) -> None:
    assert faults_of(managed(container).container, Settings()) == []


@pytest.mark.parametrize(
    ("container", "reason", "message"),
    [
        ({"image": ""}, "Invalid", "container.image: is missing"),
        ({"port": 70000}, "Invalid", "container.port: 70000 is out of range"),
        ({"env": [{"name": "A", "fromSecret": "sys:k"}]}, "Invalid", "env[0].fromSecret"),
        ({"env": [{"name": "A", "kubernetesSecretRef": {"name": "upstream-svc-x", "key": "k"}}]},
         "Invalid", "env[0].kubernetesSecretRef.name"),
        ({"securityContext": {"capabilities": {"add": ["NET_RAW", "CHOWN", "BPF"]}}},
         "Refused", "no container add BPF, NET_RAW"),
    ],
)  # fmt: skip
def test_the_first_fault_is_told(container: dict[str, Any], reason: str, message: str) -> None:
    (problem,) = faults_of(managed(container).container, Settings())
    assert problem.reason == reason
    assert message in problem.message


@pytest.mark.parametrize(
    ("image", "server", "refused"),
    [
        ("10.43.0.1:443/x", "", True),
        ("[::ffff:10.43.0.1]:443/x", "", True),
        ("[fd43::7]/x", "", True),
        ("nginx", "https://10.43.7.7/v2", True),
        ("10.44.0.1/x", "192.168.1.5:5000", False),
        ("h.test/x", "", False),
    ],
)
def test_no_registry_is_asked_among_the_services_of_kubernetes(
    image: str, server: str, refused: bool
) -> None:
    login = {"username": "u", "password": {"fromSecret": "registry"}, "server": server}
    found = managed({"image": image, "credentials": {"usernamePassword": login}})
    settings = Settings(no_registries=("10.43.0.0/16", "fd43::/112"))
    assert [one.reason for one in faults_of(found.container, settings)] == ["Refused"] * refused
    assert faults_of(found.container, Settings()) == []
