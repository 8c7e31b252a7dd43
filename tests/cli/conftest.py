"""Programs run within the test, against the stand-in for a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.real import real_api
from tests.cli.runner import Runner
from tests.client.standin import Authority, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture
def cluster(authority: Authority) -> Iterator[StandIn]:
    server = StandIn(authority).start()
    yield server
    server.stop()


@pytest.fixture
def offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Runner:
    """A terminal without any Cluster."""
    monkeypatch.chdir(tmp_path)
    environ = {"OCTELIUM_HOME": str(tmp_path / "home")}
    return Runner(environ, capsys, monkeypatch)


@pytest.fixture
def terminal(cluster: StandIn, offline: Runner, tmp_path: Path) -> Runner:
    """A terminal of somebody who works with the stand-in."""
    offline.environ = cluster.environ(tmp_path)
    return offline


@pytest.fixture
def real(authority: Authority, offline: Runner, tmp_path: Path) -> Iterator[Runner]:
    """A terminal of the administrator of the project's own API server."""
    with real_api(tmp_path, authority) as (harness, environ):
        offline.environ = environ
        offline.now = harness.clock.now
        yield offline
