"""Runs scenarios in links as root and as an ordinary user, and sees that nothing else changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.namespaces import available
from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.tunnel.link.worlds import Privilege


@pytest.fixture
def as_root(tmp_path: Path) -> Callable[[str], str]:
    """Runs a scenario that only root can show."""
    return lambda scenario: worlds.run(scenario, "root", tmp_path)


@pytest.fixture
def in_a_link(tmp_path: Path) -> Callable[[str], str]:
    """Runs a scenario in the way that is at hand."""
    return lambda scenario: worlds.run(scenario, available()[0], tmp_path)


@pytest.fixture(params=available())
def in_link(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Runs a scenario in every way that is at hand: as root, and as an ordinary user."""
    privilege: Privilege = request.param
    return lambda scenario: worlds.run(scenario, privilege, tmp_path)
