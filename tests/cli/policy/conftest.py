"""A running Cluster from the sources, for commands that have to be answered in earnest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.runner import Runner


@pytest.fixture(scope="session")
def source_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceCluster]:
    """One for the whole run."""
    made = SourceCluster(tmp_path_factory.mktemp("policy"), workers=1)
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def administrator(source_cluster: SourceCluster, offline: Runner) -> Runner:
    """A terminal of the running Cluster's first administrator; the examples are applied."""
    offline.environ = {
        "OCTELIUM_DOMAIN": DOMAIN,
        "OCTELIUM_HOME": str(source_cluster.folder / "home"),
        "OCTELIUM_API_ENDPOINT": f"127.0.0.1:{source_cluster.port}",
        "OCTELIUM_AUTH_TOKEN": source_cluster.token,
        "SSL_CERT_FILE": str(source_cluster.data / "ca.pem"),
    }
    result = offline.ctl("apply", "--include-secret", str(ROOT / "examples"))
    assert result.code == 0
    return offline
