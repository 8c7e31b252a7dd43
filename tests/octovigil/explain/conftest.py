"""Searches for changes end by the number of their tries, on a slow machine, too."""

from __future__ import annotations

import pytest

from octelium.octovigil.explain import change


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search take as long as it takes."""
    monkeypatch.setattr(change, "MAX_SECONDS", 600.0)
