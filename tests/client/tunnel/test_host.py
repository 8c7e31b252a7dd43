from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.peers.namespaces import available, network

if TYPE_CHECKING:
    from pathlib import Path

MODULE = ("-m", "tests.client.tunnel.inside")


@pytest.mark.parametrize("name", ["the_host", "overlaps", "two_clusters"])
def test_in_a_network_of_its_own(tmp_path: Path, name: str) -> None:
    with network(tmp_path, available()) as made:
        made.namespace("client").run(sys.executable, *MODULE, name)
