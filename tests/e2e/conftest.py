"""Real peers for the end-to-end tests: a Cluster from the zipapp, and upstreams."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import ROOT, ZIPAPP, Cluster, wait_for
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.test_connect import World
    from tests.e2e.ways import Visitors, Ways


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is marked `e2e`."""
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker("e2e")


@pytest.fixture(scope="session", autouse=True)
def zipapp() -> None:
    """The tests need the built file."""
    if not ZIPAPP.exists():
        subprocess.run([sys.executable, ROOT / "scripts/build_zipapp.py"], check=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One running Cluster per test process, signed in as the first administrator."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        made.login()
        yield made
    finally:
        made.remove()


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Cluster that the test may break; not started yet."""
    made = Cluster(tmp_path_factory.mktemp("own"))
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="session")
def upstream_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An HTTP server of its own process that tells what it received (`tests/e2e/echo.py`)."""
    port = free_port()
    log = tmp_path_factory.mktemp("upstream") / "log"
    with log.open("wb") as output:
        words = [sys.executable, str(ROOT / "tests/e2e/echo.py"), str(port)]
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        import socket

        wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """One Cluster per test process whose people sign in at real providers."""
    from tests.e2e.ways import open_ways

    with open_ways(tmp_path_factory.mktemp("ways")) as made:
        yield made


@pytest.fixture(scope="session")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One Cluster per test process with a tunnel, and somebody's host behind a router."""
    from tests.e2e.test_connect import behind_a_router

    with behind_a_router(tmp_path_factory.mktemp("routed")) as made:
        yield made


@pytest.fixture(scope="module")
def visitors(ways: Ways) -> Iterator[Visitors]:
    """Browsers that visit it."""
    from tests.e2e.ways import open_visitors

    with open_visitors(ways) as made:
        yield made
