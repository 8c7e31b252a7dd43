"""An authority for certificates, and time enough for a busy machine."""

from __future__ import annotations

import pytest

from tests.client.doctor.door import have_patience
from tests.client.standin import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of what is slow say how slow it may be."""
    have_patience(monkeypatch)
