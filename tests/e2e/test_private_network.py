"""Clients with tunnels, a Gateway, and Services in the private network: hosts are namespaces."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SOAK
from tests.e2e import echoes
from tests.e2e.cluster import ROOT, Cluster, wait_for
from tests.e2e.documents import credential, rule, workload
from tests.peers.namespaces import network
from tests.peers.programs import program
from tests.peers.tunnel_client import TunnelClient, tunnel_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

GATEWAY = "192.0.2.1"
RECOVERY = 5.0
"""Seconds within which requests are answered after a process was killed. Without being told,
WireGuard would take 15 to notice (the WireGuard paper, section 6.5)."""
_TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 60) as one:
    for line in sys.stdin:
        one.sendall(line.encode())
        print(one.recv(4096).decode().strip() or "end", flush=True)
"""
_ASK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.settimeout(float(sys.argv[3]))
    one.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    print(one.recv(100).decode())
"""


class GatewayCluster(Cluster):
    """A Cluster that listens everywhere in its namespace."""

    def up_command(self) -> list[str]:
        words = super().up_command()
        words[words.index("--listen") + 1] = f"0.0.0.0:{self.port}"
        return words


@dataclass
class Person:
    """Somebody with a host and a token; `client` is the tunnel."""

    host: Namespace
    token: str
    client: TunnelClient


@dataclass
class World:
    """A Gateway, its Services, and two people."""

    engine: str
    cluster: Cluster
    host: Namespace
    alice: Person
    bob: Person

    def address(self, service: str, family: str = "ipv4") -> str:
        """A Service's own address."""
        # Control may just be on its way back.
        asked = ("get", "service", service, "-o", "json")
        told = json.loads(wait_for(lambda: self.cluster.ctl(*asked)))
        return str(told["status"]["addresses"][0]["dualStackIP"][family])

    def metrics(self, event: str) -> float | None:
        """How often something happened to the gateway; None if its engine does not tell."""
        if self.engine != "own":
            return None
        url = f"http://127.0.0.1:{self.cluster.admin}/metrics"

        def told() -> list[str]:
            text = self.host.run(_curl(), "-sS", url, check=False).stdout
            return [each for each in text.splitlines() if f'event="{event}"' in each]

        # The gateway or control may just be on its way back.
        return float(wait_for(told)[0].split()[-1])

    def happens(self, event: str, before: float | None) -> None:
        """Wait until it has happened once more, if the engine tells."""
        if self.engine == "own":
            assert before is not None
            wait_for(lambda: (self.metrics(event) or 0) > before)


def _curl() -> str:
    return program("curl", "curl")


def service(name: str, mode: str, url: str, port: int) -> dict[str, Any]:
    """A Service for alice."""
    allowed = rule("ALLOW", "ctx.user.metadata.name == 'alice'")
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "mode": mode,
            "port": port,
            "authorization": {"inlinePolicies": [{"spec": {"rules": [allowed]}}]},
            "config": {"upstream": {"url": url}},
        },
    }


def token(cluster: Cluster, name: str) -> str:
    made = json.loads(cluster.ctl("create", "credential", name, "--rotate", "-o", "json"))
    return str(made["authenticationToken"]["authenticationToken"])


def get(person: Person, url: str, *more: str, seconds: int = 60) -> str:
    """Status of a response, `000` for none in time."""
    words = [_curl(), "-sS", "-m", str(seconds), "-o", "/dev/null", "-w", "%{http_code}"]
    return person.host.run(*words, *more, url, check=False).stdout


@pytest.fixture(scope="module", params=["own", "wireguard-go"] if SOAK else ["own"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("private")
    with network(folder) as made:
        names = ("host", "alice", "bob")
        spaces = {name: made.namespace(name) for name in names}
        made.switch("lan", {name: f"192.0.2.{at}/24" for at, name in enumerate(names, 1)})
        host = spaces["host"]
        cluster = GatewayCluster(
            folder / "cluster",
            within=host.enter,
            environment={"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": request.param},
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        echo = ROOT / "tests/e2e/echo.py"
        try:
            with (
                host.process(sys.executable, echo, "8000", **quiet),
                host.process(sys.executable, "-c", echoes.STREAMS, **quiet),
                host.process(sys.executable, "-c", echoes.DATAGRAMS, **quiet),
            ):
                echoes.wait_until_bound(host, "tcp 8000", "tcp 8001", "udp 8002")
                yield from _running(request.param, cluster, spaces)
        finally:
            cluster.remove()


def _running(engine: str, cluster: Cluster, spaces: dict[str, Namespace]) -> Iterator[World]:
    cluster.start()
    cluster.login()
    people = ("alice", "bob")
    cluster.apply(
        *(workload(name) for name in people),
        *(credential(f"{name}-token", name, "AUTH_TOKEN", sessionType="CLIENT") for name in people),
        service("web", "HTTP", "http://127.0.0.1:8000", 80),
        service("raw", "TCP", "tcp://127.0.0.1:8001", 7),
        service("datagrams", "UDP", "udp://127.0.0.1:8002", 7),
    )
    tokens = [token(cluster, f"{name}-token") for name in people]
    places = [(spaces[name], f"{GATEWAY}:{cluster.port}") for name in people]
    authority = cluster.data / "ca.pem"
    with (
        tunnel_client(*places[0], authority, tokens[0]) as one,
        tunnel_client(*places[1], authority, tokens[1]) as other,
    ):
        alice = Person(spaces["alice"], tokens[0], one)
        bob = Person(spaces["bob"], tokens[1], other)
        yield World(engine, cluster, spaces["host"], alice, bob)


def test_what_a_client_is_told(world: World) -> None:
    state = world.alice.client.state
    (gateway,) = state["gateways"]
    assert gateway["addresses"] == [GATEWAY]
    assert gateway["wireguard"]["port"] == 53820
    assert world.alice.client.address != world.bob.client.address
    assert world.alice.client.address.startswith("100.65.")


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_requests_through_a_tunnel_are_decided_by_whose_it_is(world: World, family: str) -> None:
    address = world.address("web", family)
    url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    assert get(world.alice, url) == "200"
    assert get(world.bob, url) == "403"


def test_names_of_others_are_not_answered_at_a_services_address(world: World) -> None:
    url = f"http://{world.address('web')}/"
    assert get(world.alice, url, "-H", "Host: rebinding.example") == "421"


def test_connections_and_datagrams_are_decided_too(world: World) -> None:
    words = (sys.executable, "-c", _TALK, world.address("raw"), "7")
    assert world.alice.host.run(*words, input="hello\n").stdout == "hello\n"
    assert "hello" not in world.bob.host.run(*words, input="hello\n", check=False).stdout
    words = (sys.executable, "-c", _ASK, world.address("datagrams"), "7")
    assert world.alice.host.run(*words, "60").stdout == "hello\n"
    assert world.bob.host.run(*words, "1", check=False).returncode != 0


def test_nobody_sends_from_anothers_address(world: World) -> None:
    url, stolen = f"http://{world.address('web')}/", world.alice.client.address
    before = world.metrics("bad_source")
    world.bob.host.ip(f"address add {stolen}/32 dev oct0")
    try:
        assert get(world.bob, url, "--interface", stolen, seconds=2) == "000"
    finally:
        world.bob.host.ip(f"address del {stolen}/32 dev oct0")
    world.happens("bad_source", before)
    assert get(world.bob, url) == "403"


def recovery(world: World) -> float:
    """`RECOVERY`, and what a machine takes beside it that is busy at present."""
    return RECOVERY + 3 * world.cluster.start_of_a_program()


if SOAK:

    def test_a_new_key_of_the_gateway_interrupts_nothing(world: World) -> None:
        """A key lasts half a minute at least. This comes before what breaks the client's stream."""
        spec = {"gateway": {"wireguardKeyRotationDuration": {"seconds": 30}}}
        config = {"kind": "ClusterConfig", "metadata": {"name": "default"}, "spec": spec}
        words = (sys.executable, "-c", _TALK, world.address("raw"), "7")
        pipe = subprocess.PIPE
        with world.alice.host.process(*words, stdin=pipe, stdout=pipe) as talk:
            say(talk, "before")
            world.cluster.apply(config)
            longest, end = 0.0, time.monotonic() + 60
            while "update_gateway" not in world.alice.client.ask("events")["events"]:
                assert time.monotonic() < end
                longest = max(longest, _seconds_of(talk))
            for _ in range(20):
                longest = max(longest, _seconds_of(talk))
            # wireguard-go has one key at a time: who meets the wrong one asks again after 5 s.
            assert longest < (0.5 if world.engine == "own" else 10.0)

    def _seconds_of(talk: subprocess.Popen[str]) -> float:
        started = time.monotonic()
        assert say(talk, "word") == "word"
        time.sleep(0.05)
        return time.monotonic() - started - 0.05


@pytest.mark.real_time("how soon it goes on is measured")
@pytest.mark.parametrize("name", ["gateway", "link", "control", "worker-0"])
def test_tunnels_outlive_every_process(world: World, name: str) -> None:
    url = f"http://{world.address('web')}/"
    assert get(world.alice, url) == "200"
    bar = recovery(world)
    old = world.cluster.kill(name)
    wait_for(lambda: world.cluster.children().get(name, old) != old)
    started = time.monotonic()
    wait_for(lambda: get(world.alice, url, seconds=2) == "200", every=0.05)
    assert time.monotonic() - started < bar
    assert get(world.bob, url) == "403"


@pytest.mark.parametrize("name", ["gateway", "link", "control"])
def test_open_connections_outlive_what_does_not_carry_them(world: World, name: str) -> None:
    words = (sys.executable, "-c", _TALK, world.address("raw"), "7")
    pipe = subprocess.PIPE
    with world.alice.host.process(*words, stdin=pipe, stdout=pipe) as talk:
        assert say(talk, "before") == "before"
        old = world.cluster.kill(name)
        assert say(talk, "meanwhile") == "meanwhile"
        wait_for(lambda: world.cluster.children().get(name, old) != old)
        assert say(talk, "after") == "after"


def say(talk: subprocess.Popen[str], word: str) -> str:
    """What comes back of a word."""
    assert talk.stdin is not None
    assert talk.stdout is not None
    talk.stdin.write(word + "\n")
    talk.stdin.flush()
    return talk.stdout.readline().strip()


@pytest.mark.real_time("how soon it is told is measured")
def test_a_deleted_session_has_no_tunnel(world: World) -> None:
    url = f"http://{world.address('web')}/"
    cluster = world.cluster
    made = token(cluster, "alice-token")
    place = (world.host, f"127.0.0.1:{cluster.port}")
    with tunnel_client(*place, cluster.data / "ca.pem", made) as client:
        guest = Person(world.host, made, client)
        assert get(guest, url) == "200"
        address = client.address
        sessions = json.loads(cluster.ctl("get", "session", "-o", "json"))["items"]
        (name,) = [
            each["metadata"]["name"]
            for each in sessions
            if address in json.dumps(each["status"].get("connection", {}))
        ]
        before = world.metrics("unknown_index")
        bar = recovery(world)
        cluster.ctl("delete", "session", name)
        started = time.monotonic()
        wait_for(lambda: "disconnect" in client.ask("events")["events"])
        assert time.monotonic() - started < bar
        assert get(guest, url, seconds=2) == "000"
        world.happens("unknown_index", before)


@pytest.mark.real_time("how soon it goes on is measured")
def test_tunnels_outlive_a_restart_of_everything(world: World) -> None:
    url = f"http://{world.address('web')}/"
    assert get(world.alice, url) == "200"
    before = world.alice.client.ask("handshakes")["last"]
    bar = recovery(world)
    world.cluster.stop()
    world.cluster.start()
    started = time.monotonic()
    wait_for(lambda: get(world.alice, url, seconds=2) == "200", every=0.05)
    assert time.monotonic() - started < bar
    # The gateway has found the client, who was not told of the restart.
    assert world.alice.client.ask("handshakes")["last"] > before
