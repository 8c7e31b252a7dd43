"""The doctors: each link broken by itself, and named with its remedy."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cluster import ROOT, wait_for
from tests.e2e.documents import credential, workload
from tests.e2e.echoes import wait_until_bound
from tests.e2e.test_connect import GATEWAY, ReachableCluster, World, connected, service
from tests.http import certs
from tests.peers.namespaces import network
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAT = """
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname "to-host" masquerade; }
}
"""
_LISTENING = """
import socket
with socket.create_server(("127.0.0.1", 8001)) as listening:
    while True:
        one, _ = listening.accept()
        one.recv(1)
"""
_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True)
class Finding:
    """What a doctor said, and how it ended."""

    told: dict[str, Any]
    status: int
    text: str

    def outcome(self, name: str) -> str:
        return str(self.part(name)["outcome"])

    def part(self, name: str) -> dict[str, str]:
        (found,) = (each for each in self.told["checks"] if each["name"] == name)
        return dict(found)

    def is_broken(self, name: str, *words: str) -> None:
        """Exactly this link is named, with words of the finding and the remedy."""
        assert self.told["broken"] == name, self.text
        assert self.status == 1
        found = self.part(name)
        assert found["remedy"], found
        verdict = self.told["verdict"]
        assert verdict.startswith(f"The first broken link is {name}: {found['detail']}. To do: ")
        for word in words:
            assert word in verdict, (word, verdict)
        before = self.told["checks"][: [each["name"] for each in self.told["checks"]].index(name)]
        assert all(each["outcome"] != "fail" for each in before)


def finding(done: subprocess.CompletedProcess[str]) -> Finding:
    assert done.stdout, done.stderr
    return Finding(json.loads(done.stdout), done.returncode, done.stdout + done.stderr)


def examined(world: World, *words: str, user: str = "alice", **environment: str) -> Finding:
    """What `octelium doctor` on the client says."""
    command = world.words(user, "doctor", "-o", "json")
    given = {**world.environment(user), **environment}
    return finding(world.client.run(*command, *words, env=given, check=False))


def diagnosed(world: World, *words: str, home: Path | None = None) -> Finding:
    """What `octeliumctl doctor` says to the administrator."""
    environment = {**world.cluster.base_environment(), "PYTHONPATH": str(ROOT)}
    if home is not None:
        environment["OCTELIUM_HOME"] = str(home)
    command = (sys.executable, "-m", "octelium", "octeliumctl", "doctor", "-o", "json", *words)
    return finding(world.host.run(*command, env=environment, check=False))


def refusing(name: str, mode: str, url: str, port: int) -> dict[str, Any]:
    made = service(name, mode, {"url": url}, port)
    made["spec"]["authorization"] = {"policies": ["deny-all"]}
    return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("doctor")
    with network(folder) as made:
        host, router, client = (made.namespace(name) for name in ("host", "router", "client"))
        made.cable(router, "192.0.2.2/24", host, f"{GATEWAY}/24")
        made.cable(client, "192.168.7.2/24", router, "192.168.7.1/24")
        client.ip("route add default via 192.168.7.1")
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run(program("nft", "nftables"), "-f", "-", input=_NAT)
        environment = {"OCTELIUM_TUNNEL": "on"}
        cluster = ReachableCluster(
            folder / "cluster", workers=2, within=host.enter, environment=environment
        )
        echo = ROOT / "tests/e2e/echo.py"
        try:
            with (
                host.process(sys.executable, echo, "8000", **_QUIET),
                host.process(sys.executable, "-c", _LISTENING, **_QUIET),
            ):
                wait_until_bound(host, "tcp 8000", "tcp 8001")
                cluster.start()
                cluster.login()
                cluster.apply(
                    workload("alice"),
                    credential("alice-token", "alice", "AUTH_TOKEN", sessionType="CLIENT"),
                    service("web", "HTTP", {"url": "http://127.0.0.1:8000"}, 80),
                    service("raw", "TCP", {"url": "tcp://127.0.0.1:8001"}, 7),
                    service("dead", "HTTP", {"url": "http://127.0.0.1:1"}, 80),
                    service("deaf", "TCP", {"url": "tcp://127.0.0.1:1"}, 7),
                    refusing("secret", "HTTP", "http://127.0.0.1:8000", 80),
                )
                words = ("create", "credential", "alice-token", "--rotate", "-o", "json")
                token = json.loads(cluster.ctl(*words))["authenticationToken"]
                tokens = {"alice": token["authenticationToken"]}
                yield World(cluster, host, router, client, folder, tokens)
        finally:
            cluster.remove()


@pytest.fixture(scope="class")
def joined(world: World) -> Iterator[None]:
    """The client is connected, by a device of its own."""
    with connected(world, "alice", "--implementation", "tun"):
        yield


@contextlib.contextmanager
def dropped(world: World, rule: str, verdict: str = "drop") -> Iterator[None]:
    """The router drops what a rule of nftables says, or refuses it."""
    nft = program("nft", "nftables")
    chain = f"chain forward {{ type filter hook forward priority 0; {rule} {verdict}; }}"
    world.router.run(nft, "-f", "-", input=f"table ip broken {{\n{chain}\n}}\n")
    try:
        yield
    finally:
        world.router.run(nft, "delete", "table", "ip", "broken")


@contextlib.contextmanager
def stopped(process: int) -> Iterator[None]:
    """A process that hangs."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


# The way to the front door, from a host that is not connected


def test_without_a_connection_all_else_is_checked(world: World) -> None:
    found = examined(world)
    assert (found.status, found.told["broken"]) == (0, None), found.text
    for name in ("login", "front door", "clock", "certificate", "session", "gateway"):
        assert found.outcome(name) == "ok"
    for name in ("connection", "routes", "udp", "packet size", "private dns", "service"):
        assert found.outcome(name) == "skipped"
        assert found.part(name)["detail"] == "this host is not connected"
    shown = world.client.run(*world.words("alice", "doctor"), env=world.environment("alice"))
    assert "Not checked: dns, connection, routes, udp" in shown.stdout
    assert shown.stdout.endswith("Everything that was checked works.\n")


def test_a_name_that_is_not_found(world: World) -> None:
    found = examined(world, "--endpoint", f"gate.example:{world.cluster.port}")
    found.is_broken("dns", "gate.example is not found", "DNS records")
    assert found.outcome("front door") == found.outcome("session") == "skipped"


def test_a_name_that_leads_elsewhere(world: World) -> None:
    world.client.resolve({"gate.example": "192.168.7.1"})
    try:
        found = examined(world, "--endpoint", f"gate.example:{world.cluster.port}")
    finally:
        world.client.resolve({})
    found.is_broken("front door", "192.168.7.1", "Connection refused", "DNS records")
    assert found.outcome("dns") == "ok"


def test_a_port_that_is_closed(world: World) -> None:
    with dropped(world, f"tcp dport {world.cluster.port}", "reject with tcp reset"):
        found = examined(world)
    found.is_broken("front door", f"{GATEWAY} port {world.cluster.port}", "firewall")


def test_another_authority(world: World) -> None:
    other = world.folder / "other.pem"
    other.write_bytes(certs.ca().chain)
    found = examined(world, "--ca-file", str(other))
    found.is_broken("certificate", "an authority that this host does not trust", "--ca-file")


def test_another_name(world: World) -> None:
    found = examined(world, "--tls-server-name", "cluster.example")
    found.is_broken("certificate", "cluster.example", "--endpoint")


def test_a_session_that_was_ended(world: World) -> None:
    world.run("alice", "status")
    told = json.loads(world.run("alice", "status", "-o", "json"))
    world.cluster.ctl("delete", "session", told["session"]["metadata"]["name"])
    found = examined(world, OCTELIUM_AUTH_TOKEN="")
    found.is_broken("session", "octelium login")
    assert found.outcome("certificate") == "ok"


# The tunnel


@pytest.mark.usefixtures("joined")
class TestConnected:
    def test_everything_works(self, world: World) -> None:
        found = examined(world, "web")
        assert (found.status, found.told["broken"]) == (0, None), found.text
        for name in ("connection", "routes", "udp", "packet size", "private dns", "service"):
            assert found.outcome(name) == "ok", found.text
        assert found.outcome("resolver") == "ok"
        assert "answered with 200" in found.part("service")["detail"]
        assert examined(world, "raw").outcome("service") == "ok"

    def test_a_resolver_that_asks_somebody_else(self, world: World) -> None:
        file = world.client.etc / "resolv.conf"
        before = file.read_text()
        file.write_text("nameserver 192.168.7.1\noptions attempts:1 timeout:1\n")
        try:
            found = examined(world, "web")
        finally:
            file.write_text(before)
        found.is_broken("resolver", "/etc/resolv.conf names 192.168.7.1")
        assert found.outcome("private dns") == found.outcome("service") == "ok"

    def test_datagrams_that_are_dropped(self, world: World) -> None:
        with dropped(world, "udp dport 53820"):
            found = examined(world, "web")
        found.is_broken("udp", f"{GATEWAY}:53820", "firewalls")
        assert found.outcome("gateway") == "ok"
        assert found.outcome("service") == "skipped"

    def test_a_gateway_that_hangs(self, world: World) -> None:
        def noticed() -> Finding:
            seen = diagnosed(world, "web")
            assert seen.told["broken"]
            return seen

        with stopped(world.cluster.children()["gateway"]):
            # The Cluster has heard of it a moment ago, and begins to miss it after 5 s.
            seen = wait_for(noticed)
            found = examined(world, "web")
        found.is_broken("gateway", "the gateway is silent", "octeliumctl doctor")
        seen.is_broken("gateway", "the gateway is silent", "octelium up")
        wait_for(lambda: examined(world).told["broken"] is None)
        assert diagnosed(world, "web").outcome("gateway") == "ok"

    def test_large_packets_that_are_dropped(self, world: World) -> None:
        with dropped(world, "udp dport 53820 udp length > 1300"):
            found = examined(world, "web")
        found.is_broken("packet size", "packets of 1280 bytes are lost", "OCTELIUM_MTU")
        assert found.outcome("udp") == "ok"

    def test_another_network_with_the_same_range(self, world: World) -> None:
        address = world.address("web")
        world.client.ip(f"route add {address}/32 via 192.168.7.1")
        try:
            found = examined(world, "web")
        finally:
            world.client.ip(f"route del {address}/32")
        found.is_broken("routes", f"{address}/32", "to-router", "--network-v4")

    @pytest.mark.parametrize("name", ["dead", "deaf"])
    def test_an_upstream_that_is_dead(self, world: World, name: str) -> None:
        found = examined(world, name)
        found.is_broken("service", f"octeliumctl doctor {name}.default")
        assert found.outcome("private dns") == "ok"

    def test_a_policy_that_refuses(self, world: World) -> None:
        found = examined(world, "secret")
        found.is_broken("service", "the Policies refuse secret.default", "policy explain --log")

    def test_a_service_that_does_not_exist(self, world: World) -> None:
        found = examined(world, "nothing")
        found.is_broken("service", "there is no Service nothing.default", "octelium get services")


def test_a_tunnel_of_the_connections_own(world: World) -> None:
    words = ("--implementation", "gvisor", "-p", "web:7003", "-p", "dead:7004")
    with connected(world, "alice", *words) as running:
        found = examined(world, "web")
        assert found.told["broken"] is None, found.text
        assert found.outcome("udp") == found.outcome("service") == "ok"
        assert found.outcome("private dns") == "skipped"
        examined(world, "dead").is_broken("service", "the upstream of dead.default")
        assert examined(world, "raw").outcome("service") == "skipped"
        assert running.end() == 0
    assert examined(world).outcome("resolver") == "skipped"  # nothing is left


# The Cluster itself


def test_a_cluster_that_works(world: World) -> None:
    found = diagnosed(world, "web")
    assert (found.status, found.told["broken"]) == (0, None), found.text
    for name in ("control", "worker-0", "worker-1", "link", "gateway", "store", "logs"):
        assert found.outcome(name) == "ok", found.text
    upstream = found.part("upstream of web.default (127.0.0.1:8000)")
    assert upstream["outcome"] == "ok"
    assert "answered with" in upstream["detail"]
    assert found.outcome("certificate of default") == "ok"


def test_upstreams_of_all_services(world: World) -> None:
    found = diagnosed(world)
    assert found.status == 1
    outcomes = {
        each["name"]: each["outcome"]
        for each in found.told["checks"]
        if each["name"].startswith("upstream")
    }
    assert outcomes["upstream of raw.default (127.0.0.1:8001)"] == "ok"
    assert outcomes["upstream of dead.default (127.0.0.1:1)"] == "fail"
    assert outcomes["upstream of deaf.default (127.0.0.1:1)"] == "fail"
    assert outcomes["upstream of demo-nginx.default"] == "skipped"
    dead = diagnosed(world, "dead")
    dead.is_broken("upstream of dead.default (127.0.0.1:1)", "start it")


def test_a_worker_that_hangs(world: World) -> None:
    with stopped(world.cluster.children()["worker-1"]):
        found = diagnosed(world, "web")
    found.is_broken("worker-1", "does not answer", "octelium up")
    assert found.outcome("worker-0") == "ok"


def test_who_lacks_the_right_learns_nothing(world: World) -> None:
    environment = {**world.environment("alice")}
    words = world.words("alice", "octeliumctl", "doctor", "web")
    done = world.client.run(*words, env=environment, check=False)
    assert done.returncode == 1
    assert not done.stdout
    assert "PermissionDenied" in done.stderr
