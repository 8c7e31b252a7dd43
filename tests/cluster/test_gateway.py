"""A whole gateway in a network namespace: what its processes may do, and that each may die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.gateway import _place
from tests.cluster.conftest import SourceCluster
from tests.conftest import SOAK
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


class Everywhere(Gateway):
    """Listens everywhere in its namespace, as engines with sockets of their own do."""

    def up_command(self) -> list[str]:
        words = super().up_command()
        words[words.index("--listen") + 1] = f"0.0.0.0:{self.port}"
        return words


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
    if os.geteuid() != 0:
        pytest.skip("not verified: only root may look into these processes")
    children = gateway.children()
    places = {name: network_of(number) for name, number in children.items()}
    link = places.pop("link")
    assert len(set(places.values())) == 1
    assert link not in places.values()


@pytest.mark.parametrize("name", ["link", "gateway", "control", "worker-0"])
def test_each_process_may_die_and_the_others_go_on(gateway: Gateway, name: str) -> None:
    others = {each: number for each, number in gateway.children().items() if each != name}
    private = network_of(gateway.children()["link"])
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGSTOP)  # nobody starts it again before its end is known
    try:
        old = gateway.kill(name)
        if name == "gateway":
            wait_for(lambda: not gateway.is_well())
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    wait_for(lambda: gateway.children().get(name, old) != old)
    wait_for(gateway.is_well)
    now = gateway.children()
    assert {each: number for each, number in now.items() if each != name} == others
    wait_for(lambda: network_of(now["link"]) == private)


@contextmanager
def in_private_network(gateway: Gateway, *words: str, undo: tuple[str, ...]) -> Iterator[None]:
    """Run a command in the private network, and another one at the end."""
    link = str(gateway.children()["link"])
    user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
    enter = (programs.program("nsenter", "util-linux"), "-t", link, "--net", *user, "--")
    subprocess.run([*enter, *words], check=True)
    try:
        yield
    finally:
        subprocess.run([*enter, *undo], check=True)


def trouble(gateway: Gateway) -> str:
    return str(json.loads(gateway.asked("/readyz"))["checks"]["gateway"])


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        # What the client sends is lost on its way out, or on its way in.
        ("input", "packets of clients do not come in by the engine"),
        *([("output", "the private network has no way to clients")] if SOAK else []),
    ],
)
def test_it_is_ready_only_while_packets_go_both_ways(
    gateway: Gateway, hook: str, told: str
) -> None:
    nft = programs.program("nft", "nftables")
    chain = f"{{ type filter hook {hook} priority -300; }}"
    rules = f"add table inet shut; add chain inet shut each {chain}; add rule inet shut each drop"
    undo = (nft, "delete table inet shut")
    with in_private_network(gateway, nft, rules, undo=undo):
        wait_for(lambda: trouble(gateway).startswith(told))
        assert '"ready":false' in gateway.asked("/readyz").replace(" ", "")
    wait_for(gateway.is_well)


def test_it_is_not_ready_while_datagrams_do_not_reach_the_engine(
    gateway: Gateway, host: Namespace
) -> None:
    nft = programs.program("nft", "nftables")
    chain = "{ type filter hook input priority 0; }"
    rule = "udp dport 53820 drop"
    rules = f"add table inet shut; add chain inet shut each {chain}; add rule inet shut each {rule}"
    host.run(nft, rules)
    try:
        wait_for(lambda: trouble(gateway) == "packets of clients do not come in by the engine")
    finally:
        host.run(nft, "delete table inet shut")
    wait_for(gateway.is_well)


@pytest.mark.skipif(not SOAK, reason="a Cluster more, and ten seconds: OCTELIUM_SOAK=1")
def test_it_is_not_ready_while_its_engine_hangs(tmp_path: Path, host: Namespace) -> None:
    programs.program("wireguard-go", "wireguard-go")
    cluster = Everywhere(
        tmp_path,
        workers=1,
        within=host.enter,
        environment={"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": "wireguard-go"},
    )
    cluster.environment["OCTELIUM_WIREGUARD_LISTEN"] = ":53823"
    try:
        cluster.start()
        children = Path(f"/proc/{cluster.children()['gateway']}/task")
        (engine,) = (
            int(number)
            for task in children.iterdir()
            for number in (task / "children").read_text().split()
        )
        os.kill(engine, signal.SIGSTOP)
        try:
            wait_for(lambda: not cluster.is_well())
        finally:
            os.kill(engine, signal.SIGCONT)
        wait_for(cluster.is_well)
    finally:
        cluster.remove()


def test_a_device_that_is_set_down_is_set_up_again(gateway: Gateway) -> None:
    down = (programs.program("ip", "iproute2"), "link", "set", "octelium0", "down")
    with in_private_network(gateway, *down, undo=("true",)):
        wait_for(lambda: _contains(gateway.log, "octelium0 was set down: it is up again"))
    wait_for(gateway.is_well)


def _contains(log: Path, text: str) -> bool:
    return text in log.read_text()


def test_it_is_not_ready_without_its_device(gateway: Gateway) -> None:
    delete = (programs.program("ip", "iproute2"), "link", "delete", "octelium0")
    with in_private_network(gateway, *delete, undo=("true",)):
        wait_for(lambda: not gateway.is_well(), every=0)
        time.sleep(0.5)
        assert not gateway.is_well()
    gateway.kill("link")  # the next one makes everything anew
    wait_for(gateway.is_well)


@pytest.mark.parametrize(
    ("bound", "place"),
    [("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::", "::1"), ("::1", "::1")],
)
def test_where_the_engine_is_reached(bound: str, place: str) -> None:
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.bind((bound, 0))
        port = made.getsockname()[1]
        assert _place([made], 1) == (place, port)
    assert _place([], 7) == ("127.0.0.1", 7)


def test_it_counts(gateway: Gateway) -> None:
    def counted() -> None:
        text = gateway.asked("/metrics")
        assert 'octelium_tunnel_peers{process="gateway"} 0' in text
        assert 'event="no_route"' in text

    wait_for(counted)
