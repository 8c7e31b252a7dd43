"""`octelium connect -d` on a machine with systemd, to a Cluster on another host."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK
from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.documents import credential, policy, rule, workload
from tests.e2e.test_connect import ReachableCluster
from tests.install.machine import OUTSIDE, RELEASES, Machine, booted
from tests.install.releases import zipapp
from tests.install.roots import DEBIAN, root
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.namespaces import Namespace

_DEAF = """
table ip deaf {
  chain out { type filter hook output priority 0; udp dport 53820 drop; }
}
"""
UNIT = "octelium-*.service"
pytestmark = pytest.mark.skipif(not SOAK, reason="a machine of its own: OCTELIUM_SOAK=1")


def served(cluster: ReachableCluster) -> dict[str, str]:
    """Begin, with a Service that answers by itself and two Users; their tokens."""
    cluster.start()
    cluster.login()
    direct = {"http": {"response": {"direct": {"inline": "hello"}}}}
    authorization = {"policies": ["allowed"]}
    spec = {"mode": "HTTP", "port": 80, "authorization": authorization, "config": direct}
    users = ("rita", "alice")
    cluster.apply(
        policy("allowed", rule("ALLOW")),
        {"kind": "Service", "metadata": {"name": "web"}, "spec": spec},
        *(workload(name) for name in users),
        *(credential(f"{name}-token", name, "AUTH_TOKEN", sessionType="CLIENT") for name in users),
    )
    tokens = {}
    for name in users:
        words = ("create", "credential", f"{name}-token", "--rotate", "-o", "json")
        made = json.loads(cluster.ctl(*words))
        tokens[name] = str(made["authenticationToken"]["authenticationToken"])
    return tokens


class Laptop:
    """The machine, and whose tokens are for its users."""

    def __init__(self, machine: Machine, tokens: dict[str, str], port: int, address: str) -> None:
        self.machine, self.tokens = machine, tokens
        # curl has an opinion of its own on names below `localhost` (RFC 6761, section 6.3).
        name = f"web.local.{DOMAIN}"
        self.asked = f"curl -sS -m 5 --resolve {name}:80:{address} http://{name}"
        self._login = f"login --domain {DOMAIN} --endpoint {OUTSIDE}:{port} --ca-file /opt/ca.pem"

    def run(self, user: str, words: str, *, check: bool = True) -> str:
        """Run a command line of a user; with `octelium`, the Cluster is known."""
        home = "/root" if user == "root" else f"/home/{user}"
        started = f"cd {home}; export HOME={home} OCTELIUM_DOMAIN={DOMAIN}; {words}"
        return self.machine.run(
            "runuser", "-u", user, "--", "sh", "-c", started, check=check
        ).stdout

    def login(self, user: str, token: str) -> None:
        self.run(user, f"echo {self.tokens[token]} | octelium {self._login} --auth-token -")

    def unit(self) -> str:
        """What systemd runs for root, by its name; "" for nothing."""
        said = self.machine.shell(f"systemctl list-units --plain --no-legend --all '{UNIT}'")
        return said.partition(" ")[0]

    def resolver(self) -> str:
        return self.machine.shell("cat /etc/resolv.conf")


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    folder = tmp_path_factory.mktemp("laptop")
    releases = folder / "releases"
    releases.mkdir()
    shutil.copyfile(zipapp(DEBIAN.python), releases / "octelium")
    with booted(root(DEBIAN), releases, folder, is_bare=True) as machine:
        yield from _joined(machine, machine.outside, folder)


def _joined(machine: Machine, outside: Namespace, folder: Path) -> Iterator[Laptop]:
    environment = {"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": "own"}
    cluster = ReachableCluster(folder / "cluster", within=outside.enter, environment=environment)
    try:
        tokens = served(cluster)
        shutil.copyfile(cluster.data / "ca.pem", folder / "releases/ca.pem")
        machine.shell(
            f"""set -e
            apt-get install -y -qq --no-install-recommends python3 >/dev/null
            install -m 0755 {RELEASES}/octelium /usr/local/bin/octelium
            install -m 0644 {RELEASES}/ca.pem /opt/ca.pem
            useradd --create-home alice
            chmod 0666 /dev/net/tun"""
        )
        service = json.loads(cluster.ctl("get", "service", "web", "-o", "json"))
        address = service["status"]["addresses"][0]["dualStackIP"]["ipv4"]
        yield Laptop(machine, tokens, cluster.port, address)
    finally:
        cluster.remove()


def test_roots_connection_is_a_unit_of_systemd(laptop: Laptop) -> None:
    laptop.login("root", "rita")
    before = laptop.resolver()
    said = laptop.run("root", "octelium connect -d")
    assert f"Connected to {DOMAIN} in the background" in said
    # It answers as soon as the command is over, not some time later.
    assert laptop.run("root", laptop.asked) == "hello"
    unit = laptop.unit()
    assert re.fullmatch(r"octelium-[\w.-]+\.service", unit)
    shown = laptop.machine.shell(f"systemctl show {unit}; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "ActiveState=active" in shown
    assert laptop.tokens["rita"] not in shown
    told = json.loads(laptop.run("root", "octelium status -o json"))
    assert told["connection"]["state"] == "connected"
    again = laptop.run("root", "octelium connect -d", check=False)
    assert "octelium disconnect" in again

    def process() -> str:
        return laptop.machine.shell(f"systemctl show -p MainPID --value {unit}").strip()

    old = process()
    laptop.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
    wait_for(lambda: process() not in ("0", old), 60)
    wait_for(lambda: laptop.run("root", laptop.asked, check=False) == "hello", 60)

    laptop.run("root", "octelium disconnect")
    wait_for(lambda: not laptop.unit(), 30)
    assert laptop.resolver() == before
    assert "octelium" not in laptop.machine.shell("ip -brief link")


def test_a_users_connection_needs_nothing_of_systemd(laptop: Laptop) -> None:
    laptop.login("alice", "alice")
    said = laptop.run("alice", "octelium connect -d -p web:8080")
    assert f"Connected to {DOMAIN} in the background" in said
    # Whoever begins it may end: as with every command that was started by a login shell.
    assert laptop.run("alice", "curl -sS http://127.0.0.1:8080") == "hello"
    assert not laptop.unit()
    lines = laptop.machine.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert laptop.tokens["alice"] not in lines
    laptop.run("alice", "octelium disconnect")
    gone = laptop.run("alice", "curl -sS -m 5 http://127.0.0.1:8080", check=False)
    assert "hello" not in gone


def test_nothing_stays_where_nothing_answers(laptop: Laptop) -> None:
    laptop.login("root", "rita")
    nft = program("nft", "nftables")
    laptop.machine.host.run(nft, "-f", "-", input=_DEAF)
    try:
        said = laptop.run("root", "octelium connect -d; echo $?", check=False)
    finally:
        laptop.machine.host.run(nft, "delete table ip deaf")
    assert "nothing answered through the tunnel" in said
    assert not said.endswith("0\n")
    wait_for(lambda: not laptop.unit(), 30)


def test_what_can_never_be_is_said_at_once(laptop: Laptop) -> None:
    laptop.login("root", "rita")
    laptop.machine.shell("mv /dev/net/tun /dev/net/gone")
    try:
        said = laptop.run("root", "octelium connect -d; echo $?", check=False)
    finally:
        laptop.machine.shell("mv /dev/net/gone /dev/net/tun")
    assert "the connection in the background ended" in said
    assert "/dev/net/tun" in said
    assert not said.endswith("0\n")
    wait_for(lambda: not laptop.unit(), 30)
