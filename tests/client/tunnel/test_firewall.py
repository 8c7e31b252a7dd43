from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.peers.namespaces import available, network

if TYPE_CHECKING:
    from pathlib import Path

MODULE = ("-m", "tests.client.tunnel.walled")


@pytest.mark.parametrize(
    "name",
    ["what_comes_in", "what_is_answered", "no_way_through", "the_end", "an_older_kernel"],
)
def test_in_a_network_of_its_own(tmp_path: Path, name: str) -> None:
    with network(tmp_path, available()) as made:
        made.namespace("client").run(sys.executable, *MODULE, name)


def test_without_nftables_it_is_said(tmp_path: Path) -> None:
    with network(tmp_path, available()) as made:
        done = made.namespace("client").run(sys.executable, *MODULE, "no_nftables")
    assert "the Cluster can reach what listens on this host at all addresses" in done.stderr
