from __future__ import annotations

from octelium.schema.modes import ANONYMOUS_MODES, HTTP_MODES, mode_name
from octelium.schema.pb import core_v1_pb2 as core

MODE = core.ServiceSpecMode__


def test_only_http_modes_can_be_anonymous() -> None:
    assert ANONYMOUS_MODES < HTTP_MODES
    assert MODE.KUBERNETES in HTTP_MODES - ANONYMOUS_MODES
    assert MODE.TCP not in HTTP_MODES


def test_names() -> None:
    assert mode_name(MODE.WEB) == "WEB"
    assert mode_name(99) == "99"
