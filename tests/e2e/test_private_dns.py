"""The Cluster's names and other zones, asked for by `dig` through a tunnel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.echoes import wait_until_bound
from tests.e2e.test_private_network import GatewayCluster, World, _running
from tests.peers.namespaces import network

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESOLVER = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
    bound.bind(("127.0.0.1", 5300))
    while True:
        data, source = bound.recvfrom(4096)
        question = data[12 : data.index(0, 12) + 5]
        address = bytes((100, 64, 0, 20)) if b"rebind" in question else bytes((10, 1, 1, 1))
        head = data[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0"
        record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + address
        bound.sendto(head + question + record, source)
"""
"""A resolver in which every name has one address."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dns")
    with network(folder) as made:
        spaces = {name: made.namespace(name) for name in ("host", "alice", "bob")}
        made.switch("lan", {name: f"192.0.2.{at}/24" for at, name in enumerate(spaces, 1)})
        host = spaces["host"]
        cluster = GatewayCluster(
            folder / "cluster", within=host.enter, environment={"OCTELIUM_TUNNEL": "on"}
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            with host.process(sys.executable, "-c", _RESOLVER, **quiet):
                wait_until_bound(host, "udp 5300")
                yield from _running("own", cluster, spaces)
        finally:
            cluster.remove()


def dig(world: World, *words: str, family: str = "ipv4", **options: Any) -> str:
    """What `dig` says to Alice."""
    program = shutil.which("dig")
    if program is None:
        pytest.fail("dig is missing: install bind9-dnsutils")
    told = world.alice.client.state["dns"]["servers"]
    server = f"@{told[0 if family == 'ipv4' else 1]}"
    patience = ("+time=60", "+tries=1")
    return world.alice.host.run(program, server, *patience, *words, **options).stdout.strip()


def test_the_client_is_told_whom_to_ask(world: World) -> None:
    told = world.alice.client.state["dns"]["servers"]
    assert told == [world.address("dns.octelium", family) for family in ("ipv4", "ipv6")]


SUFFIXES = (f"local.{DOMAIN}", f"{DOMAIN}.local", "local")
SPELLINGS = {
    "web.default": (
        *("web", "web.default", "WEB"),
        *(f"web.{suffix}" for suffix in SUFFIXES),
        *(f"web.default.{suffix}" for suffix in SUFFIXES),
        *(f"a.web.default.{suffix}" for suffix in SUFFIXES),
    ),
    "dns.octelium": ("dns.octelium", *(f"dns.octelium.{suffix}" for suffix in SUFFIXES)),
    "default.octelium-api": tuple(f"octelium-api.{suffix}" for suffix in SUFFIXES),
    "default.default": SUFFIXES,
}
"""Names of Services, with every form of each."""
EMPTY = ("MX", "TXT", "SRV", "CAA", "HTTPS", "CNAME", "NS")


@pytest.fixture(scope="module")
def spelled(world: World) -> dict[str, dict[str, str]]:
    """Both addresses of each of these Services, by the type of their records."""
    found = {}
    for service in SPELLINGS:
        told = json.loads(world.cluster.ctl("get", "service", service, "-o", "json"))
        both = told["status"]["addresses"][0]["dualStackIP"]
        found[service] = {"A": both["ipv4"], "AAAA": both["ipv6"]}
    return found


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_every_form_of_a_name_and_every_type(
    world: World, spelled: dict[str, dict[str, str]], family: str, transport: str
) -> None:
    asked: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for service, names in SPELLINGS.items():
        addresses = spelled[service]
        for name in names:
            asked |= {(name, kind): ("NOERROR", [each]) for kind, each in addresses.items()}
        full = f"{service.removesuffix('.default')}.local.{DOMAIN}."
        pointer = ip_address(addresses["A" if family == "ipv4" else "AAAA"]).reverse_pointer
        asked[pointer, "PTR"] = ("NOERROR", [full])
    name = f"web.local.{DOMAIN}"
    asked |= {(name, kind): ("NOERROR", []) for kind in EMPTY}
    asked[name, "ANY"] = ("NOERROR", ['"RFC8482" ""'])
    for suffix in SUFFIXES:
        asked[f"nope.{suffix}", "A"] = ("NXDOMAIN", [])
        asked[f"octelium.{suffix}", "A"] = ("NOERROR", [])  # a Namespace, and no Service
    lines = "".join(f"{name} {kind}\n" for name, kind in asked)
    words = ("+noall", "+comments", "+answer", transport, "-f", "-")
    said = dig(world, *words, family=family, input=lines)
    found = [_answer(each) for each in said.split(";; Got answer:\n")[1:]]
    assert dict(zip(asked, found, strict=True)) == asked


def _answer(said: str) -> tuple[str, list[str]]:
    """The code of an answer, and the data of its records."""
    (code,) = re.findall(r"status: (\w+),", said)
    lines = (line for line in said.splitlines() if line and not line.startswith(";"))
    return code, [line.split(None, 4)[4] for line in lines]


def test_a_service_that_is_made_is_there_and_one_that_is_deleted_is_not(world: World) -> None:
    spec: dict[str, Any] = {"mode": "TCP", "port": 9, "config": {"upstream": {"url": "tcp://h:9"}}}
    world.cluster.apply({"kind": "Service", "metadata": {"name": "late"}, "spec": spec})
    assert dig(world, "+short", "late.local") == world.address("late")
    world.cluster.ctl("delete", "service", "late")
    assert "status: NXDOMAIN" in dig(world, "late.local")


def test_other_zones_and_what_points_back(world: World) -> None:
    config = json.loads(world.cluster.ctl("get", "clusterconfig", "-o", "json"))
    zone = {"servers": ["127.0.0.1:5300"], "domains": ["corp.example", "corp.local"]}
    world.cluster.apply(
        {
            "kind": "ClusterConfig",
            "metadata": {"name": "default"},
            "spec": {**config["spec"], "dns": {"zones": [zone]}},
        }
    )
    assert dig(world, "+short", "db.corp.example") == "10.1.1.1"
    assert dig(world, "+short", "+tcp", "dc.corp.local") == "10.1.1.1"
    assert "status: SERVFAIL" in dig(world, "rebind.corp.example")


def test_questions_are_logged_and_explained(world: World) -> None:
    assert dig(world, "+short", "raw.local", "AAAA")

    def logged() -> Any:
        lines = world.cluster.ctl("logs", "--service", "dns.octelium", "-o", "json").splitlines()
        found = [json.loads(line) for line in lines]
        asked = [one for one in found if one["entry"]["info"]["dns"]["name"] == "raw.local."]
        return asked and asked[-1]

    entry = wait_for(logged)
    assert entry["entry"]["info"]["dns"]["type"] == "AAAA"
    assert entry["entry"]["common"]["userRef"]["name"] == "alice"
    told = world.cluster.ctl("policy", "explain", "--log", entry["metadata"]["id"])
    assert "allow-all" in told
