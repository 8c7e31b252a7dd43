"""An authority for certificates."""

from __future__ import annotations

import pytest

from tests.client.standin import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.new()
