from __future__ import annotations

import json
import sys
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.connect.gateways import Interface, choose_public_addresses
from octelium.apiserver.connect.network import choose_ranges
from octelium.cluster import host
from octelium.schema.errors import Invalid
from tests.peers.namespaces import network

if TYPE_CHECKING:
    from pathlib import Path

_ASK = """
import json
from octelium.cluster import host
given = [(each.address, each.is_default) for each in host.interfaces()]
print(json.dumps([given, host.routes()]))
"""


def test_this_machines_own_network_can_be_read() -> None:
    assert "127.0.0.1" in {each.address for each in host.interfaces()}
    assert ip_network("127.0.0.0/8") in map(ip_network, host.routes())


def test_addresses_and_routes_are_those_of_the_host(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        one, other = made.namespace("one"), made.namespace("other")
        made.cable(one, "192.0.2.1/24", other, "192.0.2.2/24")
        one.ip(
            "address add 2001:db8::1/64 dev to-other nodad",
            "route add default via 192.0.2.2",
            "route add 100.100.0.0/16 via 192.0.2.2",
        )
        told = one.run(sys.executable, "-c", _ASK).stdout
        bare = other.run(sys.executable, "-c", _ASK).stdout
    addresses, routes = json.loads(told)
    found = dict(addresses)
    assert found["192.0.2.1"] is True
    assert found["2001:db8::1"] is True
    interfaces = [Interface(*each) for each in addresses]
    assert choose_public_addresses(interfaces, ())[0] == "192.0.2.1"
    assert {"0.0.0.0/0", "100.100.0.0/16", "192.0.2.0/24"} <= set(routes)
    with pytest.raises(Invalid, match=r"100\.100\.0\.0/16"):
        choose_ranges(routes, random_bytes=bytes)
    addresses, routes = json.loads(bare)
    assert all(not default for _, default in addresses)
    assert all(ip_address(address) for address, _ in addresses)
    assert str(choose_ranges(routes, random_bytes=bytes).v4) == "100.64.0.0/10"


def test_a_machine_s_own_addresses_are_not_those_of_kubernetes_services(tmp_path: Path) -> None:
    ask = "from octelium.cluster import host; print(*host.own_addresses())"
    with network(tmp_path) as made:
        one = made.namespace("one")
        one.ip(
            "link add kube-ipvs0 type veth peer name other",
            "address add 10.43.0.7/32 dev kube-ipvs0",
            "address add 192.0.2.1/24 dev other",
            "address add 192.0.2.2/24 dev other",
            "address add 2001:db8::1/64 dev other nodad",
        )
        found = set(one.run(sys.executable, "-c", ask).stdout.split())
    assert {"192.0.2.1", "192.0.2.2", "2001:db8::1"} <= found
    assert "10.43.0.7" not in found
