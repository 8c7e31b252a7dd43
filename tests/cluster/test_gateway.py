"""A whole gateway in a network namespace: what its processes may do, and that each may die."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import wait_for
from tests.peers import programs
from tests.peers.namespaces import network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

NET_ADMIN = 1 << 12


def network_of(process: int) -> Path:
    """What stands for the network namespace of a process."""
    return Path(f"/proc/{process}/ns/net").readlink()


class Gateway(SourceCluster):
    """A Cluster whose host is a Gateway."""

    def asked(self, path: str) -> str:
        words = [*self.within, programs.program("curl", "curl"), "-s"]
        url = f"http://127.0.0.1:{self.admin}{path}"
        return subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout

    def status(self, name: str) -> dict[str, str]:
        """Lines of /proc/PID/status."""
        lines = Path(f"/proc/{self.children()[name]}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def is_well(self) -> bool:
        return '"gateway":"ok"' in self.asked("/readyz").replace(" ", "")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    with network(tmp_path_factory.mktemp("network")) as made:
        one, other = made.namespace("host"), made.namespace("client")
        made.cable(one, "192.0.2.1/24", other, "192.0.2.2/24")
        yield one


def overlapping(folder: Path, tunnel: str, namespace: Namespace) -> Gateway:
    """A Cluster on a host that has a route into the network that it would take."""
    environment = {"OCTELIUM_TUNNEL": tunnel, "OCTELIUM_WIREGUARD_LISTEN": "127.0.0.1:53821"}
    return Gateway(folder, workers=1, within=namespace.enter, environment=environment)


@pytest.fixture
def elsewhere(host: Namespace) -> Iterator[Namespace]:
    """The host, on which somebody else uses a part of 100.64.0.0/10."""
    host.ip("route add 100.100.0.0/16 via 192.0.2.2")
    yield host
    host.ip("route del 100.100.0.0/16")


def test_a_network_in_use_is_refused_with_a_remedy(tmp_path: Path, elsewhere: Namespace) -> None:
    cluster = overlapping(tmp_path / "on", "on", elsewhere)
    with pytest.raises(RuntimeError, match=r"100\.100\.0\.0/16.*--network-v4 10\.192"):
        cluster.start()
    assert "Octelium serves" not in cluster.log.read_text()
    cluster.remove()
    cluster = overlapping(tmp_path / "auto", "auto", elsewhere)
    try:
        cluster.start()
        assert "No tunnels: " in cluster.log.read_text()
        assert "--network-v4" in cluster.log.read_text()
        assert set(cluster.children()) == {"control", "worker-0"}
        assert "gateway" not in cluster.asked("/readyz")
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, host: Namespace) -> Iterator[Gateway]:
    cluster = Gateway(
        tmp_path_factory.mktemp("gateway"),
        workers=1,
        within=host.enter,
        environment={"OCTELIUM_TUNNEL": "on"},
    )
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def test_it_says_what_it_uses(gateway: Gateway) -> None:
    assert "tunnel          WireGuard at UDP 127.0.0.1:53820, engine own" in gateway.log.read_text()


def test_no_process_has_more_capabilities_than_it_needs(gateway: Gateway) -> None:
    for name in ("control", "worker-0", "gateway", "link"):
        status = gateway.status(name)
        needed = NET_ADMIN if name == "link" else 0
        for line in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            expected = needed if line in ("CapEff", "CapPrm") else 0
            assert int(status[line], 16) == expected, (name, line)
        assert status["NoNewPrivs"] == "1", name
        if os.geteuid() == 0:
            assert int(status["CapBnd"], 16) == needed, name


def test_only_the_link_process_is_in_the_private_network(gateway: Gateway) -> None:
    children = gateway.children()
    places = {name: network_of(number) for name, number in children.items()}
    link = places.pop("link")
    assert len(set(places.values())) == 1
    assert link not in places.values()


@pytest.mark.parametrize("name", ["link", "gateway", "control", "worker-0"])
def test_each_process_may_die_and_the_others_go_on(gateway: Gateway, name: str) -> None:
    others = {each: number for each, number in gateway.children().items() if each != name}
    private = network_of(gateway.children()["link"])
    old = gateway.kill(name)
    if name == "gateway":
        wait_for(lambda: not gateway.is_well(), every=0)
    wait_for(lambda: gateway.children().get(name, old) != old)
    wait_for(gateway.is_well)
    now = gateway.children()
    assert {each: number for each, number in now.items() if each != name} == others
    wait_for(lambda: network_of(now["link"]) == private)


def test_it_counts(gateway: Gateway) -> None:
    def counted() -> None:
        text = gateway.asked("/metrics")
        assert 'octelium_tunnel_peers{process="gateway"} 0' in text
        assert 'event="no_route"' in text

    wait_for(counted)
