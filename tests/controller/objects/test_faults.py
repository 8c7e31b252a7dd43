from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.faults import faults_of
from tests.controller.objects.samples import CONTAINERS, EVERYTHING, managed


@pytest.mark.parametrize("container", [*CONTAINERS.values(), EVERYTHING])
def test_what_apply_takes_has_none(container: dict[str, Any]) -> None:
    assert faults_of(managed(container).container) == []


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
    (problem,) = faults_of(managed(container).container)
    assert problem.reason == reason
    assert message in problem.message
