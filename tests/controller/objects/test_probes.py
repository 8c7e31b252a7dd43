from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.probes import probes_of
from tests.controller.objects.samples import managed

DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


@pytest.mark.parametrize(
    ("given", "handler"),
    [
        ({"httpGet": {"port": 1}}, {"httpGet": {"path": "/", "port": 1, "scheme": "HTTP"}}),
        ({"httpGet": {"port": 1, "path": "/x"}},
         {"httpGet": {"path": "/x", "port": 1, "scheme": "HTTP"}}),
        ({"tcpSocket": {"port": 2}}, {"tcpSocket": {"port": 2}}),
        ({"grpc": {"port": 3}}, {"grpc": {"port": 3, "service": ""}}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["livenessProbe", "readinessProbe"])
def test_all_handlers_and_what_is_not_given(
    kind: str, given: dict[str, Any], handler: dict[str, Any]
) -> None:
    assert probes_of(managed({kind: given}))[kind] == {**handler, **DEFAULTS}


def test_all_numbers() -> None:
    numbers = {
        "initialDelaySeconds": 5,
        "timeoutSeconds": 4,
        "periodSeconds": 20,
        "successThreshold": 2,
        "failureThreshold": 9,
    }
    made = probes_of(managed({"readinessProbe": {"tcpSocket": {"port": 2}, **numbers}}))
    assert made == {"readinessProbe": {"tcpSocket": {"port": 2}, **numbers}}


def test_a_port_that_takes_connections_is_ready() -> None:
    made = probes_of(managed({"port": 8080, "livenessProbe": {"tcpSocket": {"port": 1}}}))
    assert made["readinessProbe"]["tcpSocket"] == {"port": 8080}
    assert made["livenessProbe"]["tcpSocket"] == {"port": 1}


def test_a_port_of_udp_is_not_asked() -> None:
    assert probes_of(managed({}, mode="UDP")) == {}
