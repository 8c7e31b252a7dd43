from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.resources import needs_devices, resources_of
from tests.controller.objects.samples import managed

REQUESTS = {"cpu": "10m", "memory": "5Mi", "ephemeral-storage": "50Mi"}
LIMITS = {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "5000Mi"}


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        ({}, {}, {}),
        ({"cpu": {"millicores": 1500}}, {}, {"cpu": "1500m"}),
        ({"cpu": {"millicores": 1}}, {"cpu": "1m"}, {"cpu": "1m"}),
        ({"memory": {"megabytes": 2048}}, {}, {"memory": "2Gi"}),
        ({"memory": {"megabytes": 1}}, {"memory": "1Mi"}, {"memory": "1Mi"}),
        ({"ext": {"ephemeral-storage": "20480Mi"}}, {}, {"ephemeral-storage": "20Gi"}),
        ({"ext": {"ephemeral-storage": "1M"}},
         {"ephemeral-storage": "1M"}, {"ephemeral-storage": "1M"}),
        ({"ext": {"nvidia.com/gpu": "1", "a.test/x": "2000"}},
         {"nvidia.com/gpu": "1", "a.test/x": "2k"}, {"nvidia.com/gpu": "1", "a.test/x": "2k"}),
        ({"ext": {"hugepages-2Mi": "4Mi"}}, {"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "4Mi"}),
    ],
)  # fmt: skip
def test_requests_and_limits(
    given: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    container = managed({"resourceLimit": given}).container
    assert resources_of(container) == {
        "requests": {**REQUESTS, **requests},
        "limits": {**LIMITS, **limits},
    }


def test_disk_is_no_device() -> None:
    def asked(**ext: str) -> bool:
        return needs_devices(managed({"resourceLimit": {"ext": ext}}).container)

    assert not asked()
    assert not asked(**{"ephemeral-storage": "1Gi"})
    assert asked(**{"ephemeral-storage": "1Gi", "nvidia.com/gpu": "1"})
