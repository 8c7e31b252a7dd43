"""An authority for certificates, and time enough for a busy machine."""

from __future__ import annotations

import pytest

from octelium.client.doctor import front_door, service
from tests.client.standin import Authority

_HURRIED = (
    front_door.addresses,
    front_door.reach,
    front_door.cluster_time,
    front_door.certificate,
    service.connect,
    service.request,
    service.talk,
)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of what is slow say how slow it may be."""
    for each in _HURRIED:
        defaults = each.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "seconds", 60.0)
    monkeypatch.setattr(service, "_HELLO", 60.0)
