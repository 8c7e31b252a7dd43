from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel.host import has_ipv6
from tests.peers.namespaces import available, network

if TYPE_CHECKING:
    from pathlib import Path

MODULE = ("-m", "tests.client.tunnel.inside")


@pytest.mark.parametrize("name", ["the_host", "overlaps", "the_lan_stays", "two_clusters"])
def test_in_a_network_of_its_own(tmp_path: Path, name: str) -> None:
    with network(tmp_path, available()) as made:
        made.namespace("client").run(sys.executable, *MODULE, name)


def test_ipv6_that_cannot_be_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_ipv6(tmp_path)
    (tmp_path / "default").mkdir()
    switch = tmp_path / "default/disable_ipv6"
    switch.write_text("0\n")
    assert has_ipv6(tmp_path)
    switch.write_text("1\n")
    assert has_ipv6(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not has_ipv6(tmp_path)
