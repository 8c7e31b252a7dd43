"""A way for datagrams that is cut after all worked: who says so, and how soon."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SOAK
from tests.e2e.cluster import wait_for
from tests.e2e.test_connect import _NO_UDP, connected
from tests.peers.programs import program

if TYPE_CHECKING:
    from tests.e2e.test_connect import World


@pytest.fixture(scope="module")
def world(routed: World) -> World:
    return routed


def _connection(world: World) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(world.run("alice", "status", "-o", "json"))["connection"]
    return told


@pytest.mark.real_time("how soon it is told is measured")
@pytest.mark.parametrize("side", ["tun", "gvisor"] if SOAK else ["gvisor"])
def test_a_way_that_is_cut_is_told_soon(world: World, side: str) -> None:
    nft = program("nft", "nftables")
    words = ("--implementation", side, "-p", "web:7003")
    with connected(world, "alice", *words) as running:
        assert world.get("http://127.0.0.1:7003/").endswith(" 200")
        assert _connection(world)["healthy"]
        world.router.run(nft, "-f", "-", input=_NO_UDP)
        try:
            cut = time.monotonic()
            wait_for(lambda: not _connection(world)["healthy"])
            assert "no answer from the gateway" in _connection(world)["problem"]
            assert time.monotonic() < cut + 20 + 3 * world.cluster.start_of_a_program()
            wait_for(lambda: running.has_said("no answer from the gateway"))
            assert "web" in world.run("alice", "get", "services"), "TCP is open"
        finally:
            world.router.run(nft, "delete", "table", "ip", "deaf")
        wait_for(lambda: running.has_said("The gateway answers again."))
        assert _connection(world)["healthy"]
        assert world.get("http://127.0.0.1:7003/").endswith(" 200")
        assert running.end() == 0
