from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from octelium.cluster import foreign
from octelium.cluster.foreign import foreign_networks
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.replica.samples import named, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    resources = Resources(await SqliteStore.open(tmp_path / "data"), Vault([b"k" * 32]))
    await resources.load()
    yield resources
    await resources.close()


async def test_what_control_knows_to_be_others(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "own_addresses", lambda: frozenset({"10.42.0.5", "fd00::5"}))
    assert {*foreign_networks(resources, {})} == {*map(ip_network, ("10.42.0.5", "fd00::5"))}
    config = core.ClusterConfig(metadata=named("default"))
    config.status.network.cluster_network.v4 = "100.64.0.0/16"
    config.status.network.cluster_network.v6 = "fd12:3456::/48"
    await put(resources, config)
    assert {*foreign_networks(resources, {"KUBERNETES_SERVICE_HOST": "10.43.0.1"})} == {
        *map(ip_network, ("10.42.0.5", "fd00::5", "10.43.0.1")),
        *map(ip_network, ("100.64.0.0/16", "fd12:3456::/48")),
    }


async def test_this_machine_and_a_name_of_the_api(resources: Resources) -> None:
    found = foreign_networks(resources, {"KUBERNETES_SERVICE_HOST": "kubernetes.default"})
    assert ip_network("127.0.0.1") in found


async def test_a_kernel_that_does_not_tell_is_an_error(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> frozenset[str]:
        raise PermissionError("no netlink")

    monkeypatch.setattr(foreign, "own_addresses", refused)
    with pytest.raises(PermissionError):
        foreign_networks(resources, {})
