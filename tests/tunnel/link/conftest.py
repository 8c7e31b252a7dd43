"""Runs scenarios in links as root and as an ordinary user, and sees that nothing else changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.tunnel.link.worlds import Privilege


@pytest.fixture
def as_root(tmp_path: Path) -> Callable[[str], str]:
    """Runs a scenario in a namespace that root made."""
    return lambda scenario: worlds.run(scenario, "root", tmp_path)


@pytest.fixture(params=["root", "user"])
def in_link(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Runs a scenario both ways."""
    privilege: Privilege = request.param
    return lambda scenario: worlds.run(scenario, privilege, tmp_path)
