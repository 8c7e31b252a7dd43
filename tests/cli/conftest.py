"""The stand-in for a Cluster as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.standin import Authority, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture
def cluster(authority: Authority) -> Iterator[StandIn]:
    server = StandIn(authority).start()
    yield server
    server.stop()
