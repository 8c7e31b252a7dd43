"""API servers that the tests of a process share: the emulated one, and a real one if there is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.controller.world import RealServer, Server, World

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

_WHY = "a real API server is used where KUBE_APISERVER and ETCD name the programs"
_REAL = pytest.param(
    "real",
    marks=pytest.mark.skipif(not {"KUBE_APISERVER", "ETCD"} <= os.environ.keys(), reason=_WHY),
)


@pytest.fixture(scope="session")
def emulated() -> Generator[Server]:
    """The emulated server."""
    server = Server()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def kube_apiserver() -> Generator[Server]:
    """The real one."""
    server = RealServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
async def alone(emulated: Server) -> AsyncGenerator[World]:
    """A namespace of the emulated server, where Pods are made."""
    async with World(emulated) as world:
        yield world


@pytest.fixture(params=["emulated", _REAL])
async def world(request: pytest.FixtureRequest) -> AsyncGenerator[World]:
    """A namespace of either server."""
    name = "emulated" if request.param == "emulated" else "kube_apiserver"
    async with World(request.getfixturevalue(name)) as world:
        yield world
