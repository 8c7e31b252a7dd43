from __future__ import annotations

import pytest

from octelium.controller.objects.service import service_spec
from tests.controller.objects.samples import managed


@pytest.mark.parametrize(("mode", "protocol"), [("TCP", "TCP"), ("DNS", "UDP")])
def test_one_port_at_an_address_within(mode: str, protocol: str) -> None:
    assert service_spec(managed({"port": 5353}, mode=mode), {"a": "b"}) == {
        "type": "ClusterIP",
        "externalIPs": [],
        "selector": {"a": "b"},
        "ports": [{"port": 5353, "targetPort": 5353, "protocol": protocol}],
    }
