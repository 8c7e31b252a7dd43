from __future__ import annotations

from octelium.schema.modes import ANONYMOUS_MODES, HTTP_MODES, SERVED_MODES, mode_name, not_served
from octelium.schema.pb import core_v1_pb2 as core

MODE = core.ServiceSpecMode__


def test_only_http_modes_can_be_anonymous() -> None:
    assert ANONYMOUS_MODES < HTTP_MODES
    assert MODE.KUBERNETES in HTTP_MODES - ANONYMOUS_MODES
    assert MODE.TCP not in HTTP_MODES


def test_names() -> None:
    assert mode_name(MODE.WEB) == "WEB"
    assert mode_name(99) == "99"


def test_what_is_not_served() -> None:
    assert MODE.POSTGRES not in SERVED_MODES
    assert not_served(MODE.POSTGRES) == "mode POSTGRES is stored but not served by this version"
