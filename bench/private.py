"""A Cluster with a private network, and hosts around it that are network namespaces.

`host` runs the Cluster. `people` has a thousand addresses of its own, and a cable to it; `guest` is
a host with a cable of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.processes import BenchError, cpu, stop, tree
from bench.tools import ROOT, ensure
from tests.e2e.cluster import Cluster
from tests.e2e.documents import credential, rule, workload
from tests.peers.namespaces import NotVerifiedError, network
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace, Network

GATEWAY: Final = "192.0.2.1"
PEOPLE: Final = "10.77.0.0/16"
"""Where those of `people` are; every address of it is there."""
USERS: Final = 20
HOMES: Final = 1000
"""Addresses that TCP connections of `people` come from: the front door counts those of each."""
WEB: Final = "web"
_CREDENTIAL: Final = "{}-token"


class PrivateCluster(Cluster):
    """A Cluster that listens everywhere in its namespace, on one core if there is a `core`."""

    core: int | None = None

    def up_command(self) -> list[str]:
        """The command line of the server."""
        words = super().up_command()
        words[words.index("--listen") + 1] = f"0.0.0.0:{self.port}"
        pin = [] if self.core is None else ["taskset", "-c", str(self.core)]
        return [*pin, *words]

    @property
    def root(self) -> int:
        """The supervisor."""
        assert self.process is not None
        return self.process.pid


@dataclass(frozen=True)
class World:
    """What runs."""

    network: Network
    cluster: PrivateCluster
    host: Namespace
    people: Namespace
    guest: Namespace
    folder: Path

    @property
    def endpoint(self) -> str:
        """Where the API is."""
        return f"{GATEWAY}:{self.cluster.port}"

    @property
    def authority(self) -> Path:
        """What signed the Cluster's certificate."""
        return self.cluster.data / "ca.pem"

    def tokens(self, names: list[str]) -> list[str]:
        """Authentication tokens of Users."""
        made = []
        for name in names:
            words = ("create", "credential", _CREDENTIAL.format(name), "--rotate", "-o", "json")
            told = json.loads(self.cluster.ctl(*words))
            made.append(str(told["authenticationToken"]["authenticationToken"]))
        return made

    def address(self, service: str) -> str:
        """A Service's own IPv4 address."""
        told = json.loads(self.cluster.ctl("get", "service", service, "-o", "json"))
        return str(told["status"]["addresses"][0]["dualStackIP"]["ipv4"])


@contextmanager
def private_world(
    *more: dict[str, Any], engine: str = "own", core: int | None = None
) -> Iterator[World]:
    """Run a Cluster with Users `user-0` and so on, who may use every Service, and `more`.

    `core` is the only one that the Cluster has.

    Raises:
        BenchError: this machine has no network namespaces.
    """
    ensure(("ip", "nft", "nsenter", "curl"))
    with tempfile.TemporaryDirectory(prefix="octelium-bench-") as folder:
        try:
            with network(Path(folder)) as made:
                yield from _running(made, Path(folder), engine, core, more)
        except NotVerifiedError as error:
            raise BenchError(str(error)) from error


def _running(
    made: Network, folder: Path, engine: str, core: int | None, more: tuple[dict[str, Any], ...]
) -> Iterator[World]:
    host, people = made.namespace("host"), made.namespace("people")
    made.cable(host, f"{GATEWAY}/24", people, "192.0.2.2/24")
    guest = made.namespace("guest")
    made.cable(host, "198.51.100.1/24", guest, "198.51.100.2/24")
    guest.ip(f"route add {GATEWAY} via 198.51.100.1")
    people.ip(f"route add local {PEOPLE} dev lo")
    host.ip(f"route add {PEOPLE} via 192.0.2.2")
    # A library of gRPC does not let one choose where a connection comes from.
    people.run(program("nft", "nftables"), "-f", "-", input=_from_everywhere())
    environment = {"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": engine}
    cluster = PrivateCluster(folder / "cluster", within=host.enter, environment=environment)
    cluster.core = core
    try:
        cluster.start()
        cluster.login()
        names = users()
        cluster.apply(
            *(workload(name, session={"maxPerUser": 10_000}) for name in names),
            *(
                credential(_CREDENTIAL.format(name), name, "AUTH_TOKEN", sessionType="CLIENT")
                for name in names
            ),
            *more,
        )
        yield World(made, cluster, host, people, guest, folder)
    finally:
        if cluster.process is not None:
            stop(cluster.process)
        cluster.remove()


def _from_everywhere() -> str:
    """Rules by which one TCP connection after the other comes from another address (nft(8))."""
    addresses = islice(ip_network(PEOPLE).hosts(), HOMES)
    places = ", ".join(f"{number} : {address}" for number, address in enumerate(addresses))
    return f"""
        table ip homes {{
            chain out {{
                type nat hook postrouting priority srcnat
                ip daddr {GATEWAY} ip protocol tcp snat to numgen inc mod {HOMES} map {{ {places} }}
            }}
        }}
    """


def users() -> list[str]:
    """Names of the Users."""
    return [f"user-{number}" for number in range(USERS)]


def service(name: str, mode: str, url: str, port: int) -> dict[str, Any]:
    """A Service for everybody."""
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "mode": mode,
            "port": port,
            "authorization": {"inlinePolicies": [{"spec": {"rules": [rule("ALLOW")]}}]},
            "config": {"upstream": {"url": url}},
        },
    }


@dataclass(frozen=True)
class Usage:
    """What processes have used: seconds of CPU, and bytes that are theirs alone."""

    cpu: dict[str, float]
    private: dict[str, int]

    @property
    def total_cpu(self) -> float:
        """Seconds."""
        return sum(self.cpu.values())

    @property
    def total_private(self) -> int:
        """Bytes."""
        return sum(self.private.values())


def usage(cluster: PrivateCluster) -> Usage:
    """Of each process of a Cluster's tree, the supervisor included, by its name."""
    named = {number: name for name, number in cluster.children().items()}
    used: dict[str, float] = {}
    private: dict[str, int] = {}
    for number in tree(cluster.root):
        name = named.get(number, "supervisor" if number == cluster.root else f"of {number}")
        used[name] = cpu(number) / 1e6 if number != cluster.root else _own_cpu(cluster)
        private[name] = _private(number)
    return Usage(used, private)


def _own_cpu(cluster: PrivateCluster) -> float:
    return (cpu(cluster.root) - sum(map(cpu, cluster.children().values()))) / 1e6


def _private(number: int) -> int:
    """Bytes that no other process has (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(each.split()[1]) for each in lines if each.startswith("Private_"))


class Peer:
    """A module of ours that runs in a namespace and answers line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, request: dict[str, Any]) -> None:
        """Ask for something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """What it answers. Raises BenchError if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self.process.args!r:.200} ended: {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Both."""
        self.tell(request)
        return self.hear()


@contextmanager
def peer(where: Namespace, module: str, plan: dict[str, Any]) -> Iterator[Peer]:
    """Run one; the plan is its first line."""
    pipe = subprocess.PIPE
    words = (sys.executable, "-m", module)
    with where.process(*words, stdin=pipe, stdout=pipe, cwd=ROOT) as process:
        running = Peer(process)
        running.tell(plan)
        yield running
