"""One Cluster from the sources, for the tests of its processes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


class SourceCluster(Cluster):
    """`octelium up` run from the sources."""

    def up_command(self) -> list[str]:
        """As for the zipapp, with the module in its place."""
        return [sys.executable, "-m", "octelium", *super().up_command()[1:]]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceCluster]:
    """A running Cluster with one worker."""
    cluster = SourceCluster(tmp_path_factory.mktemp("source"), workers=1)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
