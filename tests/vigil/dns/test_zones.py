from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.dns.zones import (
    Labels,
    ReverseZones,
    Suffixes,
    domain_labels,
    is_reverse_part,
    networks_of,
    packed_address,
    reverse_labels,
)


def labels(name: str) -> Labels:
    return domain_labels(name)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("wiki.local.octelium.test", "wiki"),
        ("wiki.octelium.test.local", "wiki"),
        ("a.b.local", "a.b"),
        ("local", ""),
        ("local.octelium.test", ""),
        ("octelium.test.local", ""),
        ("wiki.octelium.test", None),
        ("octelium.test", None),
        ("wiki", None),
        ("localhost", None),
        ("example.com", None),
        ("", None),
    ],
)
def test_suffixes(name: str, rest: str | None) -> None:
    split = Suffixes(labels("Octelium.Test")).split(labels(name))
    if rest is None:
        assert split is None
    else:
        assert split is not None
        assert split[0] == labels(rest)
        assert len(labels(name)) == len(split[0]) + split[1]


def test_a_domain_below_local_has_public_names() -> None:
    suffixes = Suffixes(labels("home.local"))
    assert suffixes.split(labels("wiki.home.local")) is None
    assert suffixes.split(labels("home.local")) is None
    assert suffixes.split(labels("wiki.local.home.local")) == ((b"wiki",), 3)
    assert suffixes.split(labels("wiki.home.local.local")) == ((b"wiki",), 3)
    assert suffixes.split(labels("wiki.local")) == ((b"wiki",), 1)


def test_an_unknown_domain_leaves_local() -> None:
    assert Suffixes(()).split(labels("a.b.local")) == ((b"a", b"b"), 1)
    assert Suffixes(()).split(labels("a.b")) is None


def test_declared_domains_below_local_are_elsewhere() -> None:
    suffixes = Suffixes(labels("octelium.test"), frozenset({labels("corp.local")}))
    assert suffixes.split(labels("dc.corp.local")) is None
    assert suffixes.split(labels("corp.local")) is None
    assert suffixes.split(labels("xcorp.local")) == ((b"xcorp",), 1)
    assert suffixes.split(labels("corp.local.octelium.test")) == ((b"corp",), 3)


def test_names_between_local_and_the_domain_exist() -> None:
    suffixes = Suffixes(labels("o.example.com"))
    assert suffixes.is_between(labels("com"))
    assert suffixes.is_between(labels("example.com"))
    assert not suffixes.is_between(labels("example"))
    assert not suffixes.is_between(())


def zones(*networks: str) -> ReverseZones:
    return ReverseZones(ipaddress.ip_network(network) for network in networks)


def test_reverse_zones_begin_at_labels() -> None:
    known = zones("100.64.0.0/16", "10.8.0.0/15", "fdee:1234::/80")
    for name, size in [
        ("64.100.in-addr.arpa", 4),
        ("7.0.64.100.in-addr.arpa", 4),
        ("x.64.100.in-addr.arpa", 4),
        ("65.100.in-addr.arpa", 0),
        ("100.in-addr.arpa", 0),
        ("8.10.in-addr.arpa", 4),
        ("1.9.10.in-addr.arpa", 4),
        ("10.10.in-addr.arpa", 0),
        ("in-addr.arpa", 0),
        ("", 0),
    ]:
        assert known.zone(labels(name)) == size, name
    address = ipaddress.ip_address("fdee:1234::7")
    assert known.zone(reverse_labels(address)) == 22
    assert known.zone(reverse_labels(ipaddress.ip_address("fdee:1234:0:0:1::7"))) == 0


@given(st.ip_addresses())
def test_addresses_come_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    name = reverse_labels(address)
    assert is_reverse_part(name) is None
    assert packed_address(name) == address.packed
    assert is_reverse_part(name[1:]) is True
    assert is_reverse_part((b"1", *name)) is False


@pytest.mark.parametrize("name", ["256.1.1.1", "01.1.1.1", "a.1.1.1", "1000.1", "+1.1"])
def test_other_names_are_no_addresses(name: str) -> None:
    assert is_reverse_part(labels(f"{name}.in-addr.arpa")) is False
    assert is_reverse_part(labels("g.1.ip6.arpa")) is False
    assert is_reverse_part(labels("11.1.ip6.arpa")) is False


def test_the_networks_are_those_of_services_and_sessions() -> None:
    config = core.ClusterConfig()
    network = config.status.network
    network.cluster_network.v4 = "100.64.0.0/10"
    network.service_subnet.v4, network.service_subnet.v6 = "100.64.0.0/16", "fdee::/80"
    network.wg_conn_subnet.v4 = "100.65.0.0/16"
    assert [str(one) for one in networks_of(config.status)] == [
        *("100.64.0.0/16", "fdee::/80", "100.65.0.0/16"),
    ]
