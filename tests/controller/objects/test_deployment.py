from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.deployment import deployment_spec
from tests.controller.objects.samples import CONTAINERS, managed


def spec(container: dict[str, Any]) -> dict[str, Any]:
    return deployment_spec(managed(container).container, {"a": "b"}, {"spec": {}})


def test_one_pod_unless_more_are_asked_for() -> None:
    assert spec({})["replicas"] == 1
    assert spec({"replicas": 7})["replicas"] == 7
    assert spec({})["selector"] == {"matchLabels": {"a": "b"}}
    assert spec({})["template"] == {"spec": {}}


def test_history_and_deadline() -> None:
    assert spec({})["revisionHistoryLimit"] == 2
    assert spec({})["progressDeadlineSeconds"] == 600


@pytest.mark.parametrize(
    ("sample", "strategy"),
    [
        ("least", "RollingUpdate"),
        ("empty directory", "RollingUpdate"),
        ("claim", "Recreate"),
        ("devices", "Recreate"),
    ],
)
def test_what_two_pods_cannot_share_is_left_before_it_is_taken(sample: str, strategy: str) -> None:
    made = spec(CONTAINERS[sample])["strategy"]
    assert made["type"] == strategy
    assert ("rollingUpdate" in made) == (strategy == "RollingUpdate")
