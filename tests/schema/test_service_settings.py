from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.service_settings import allows_cross_origin


@pytest.mark.parametrize(
    ("attrs", "allows"),
    [
        ({"octelium": {"crossOrigin": "allow"}}, True),
        ({"octelium": {"crossOrigin": "refuse"}}, False),
        ({"octelium": {"crossOrigin": True}}, False),
        ({"octelium": {"crossOrigin": ["allow"]}}, False),
        ({"octelium": {}}, False),
        ({"octelium": "allow"}, False),
        ({"crossOrigin": "allow"}, False),
        ({}, False),
    ],
)
def test_cross_origin(attrs: dict[str, Any], allows: bool) -> None:
    spec = ParseDict({"attrs": attrs}, core.ServiceSpec())
    assert allows_cross_origin(spec) is allows
    assert not allows_cross_origin(core.ServiceSpec())
