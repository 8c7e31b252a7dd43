from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.connect.network import (
    Network,
    choose_ranges,
    clients_take,
    network_of,
    put_ranges,
)
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.state import _check_private
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta

MODES = core.ClusterConfigStatusNetworkConfigMode__
HOST = ("0.0.0.0/0", "::/0", "127.0.0.0/8", "192.168.1.0/24", "fe80::/64", "10.0.0.0/8")


def fixed(count: int) -> bytes:
    return bytes(range(0xA1, 0xA1 + count))


def plan(**settings: str) -> Network:
    config = core.ClusterConfig()
    put_ranges(config, choose_ranges(HOST, random_bytes=fixed, **settings))
    network = network_of(config)
    assert network is not None
    return network


def test_the_default_plan_is_octeliums() -> None:
    config = core.ClusterConfig()
    put_ranges(config, choose_ranges(HOST, random_bytes=fixed))
    network = config.status.network
    assert network.cluster_network == meta.DualStackNetwork(v4="100.64.0.0/10", v6="fdee:a1a2::/64")
    assert network.v6_range_prefix == b"\xa1\xa2"
    assert network.service_subnet == meta.DualStackNetwork(v4="100.64.0.0/16", v6="fdee:a1a2::/80")
    assert network.wg_conn_subnet == meta.DualStackNetwork(
        v4="100.65.0.0/16", v6="fdee:a1a2:0:0:1::/80"
    )
    assert network.quic_conn_subnet == meta.DualStackNetwork(
        v4="100.66.0.0/16", v6="fdee:a1a2:0:0:2::/80"
    )


def test_an_incomplete_configuration_is_no_plan() -> None:
    config = core.ClusterConfig()
    assert network_of(config) is None
    config.status.network.service_subnet.v4 = "100.64.0.0/16"
    assert network_of(config) is None


@pytest.mark.parametrize(
    "route",
    [
        "100.64.0.0/10",  # a carrier's NAT, or Tailscale's range
        "100.100.100.100/32",
        "100.64.0.0/16",
        "100.0.0.0/8",
        "96.0.0.0/3",
    ],
)
def test_a_network_that_the_host_routes_is_refused_with_a_remedy(route: str) -> None:
    with pytest.raises(Invalid) as caught:
        choose_ranges([*HOST, route], random_bytes=fixed)
    assert route in str(caught.value)
    assert "OCTELIUM_NETWORK_V4" in caught.value.remedy
    chosen = choose_ranges([route], v4="10.192.0.0/12", random_bytes=fixed)
    assert chosen.v4 == IPv4Network("10.192.0.0/12")


def test_default_routes_are_in_nobodys_way() -> None:
    """Full tunnels split the default route in two."""
    chosen = choose_ranges(
        ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "::/1", "8000::/1"], random_bytes=fixed
    )
    assert chosen.v4 == IPv4Network("100.64.0.0/10")


def test_a_chosen_network_is_checked_too() -> None:
    with pytest.raises(Invalid, match="overlaps"):
        choose_ranges(HOST, v4="10.192.0.0/12", random_bytes=fixed)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"v4": "10.0.0.0/15"}, "network-v4"),
        ({"v4": "8.0.0.0/8"}, "network-v4"),
        ({"v4": "0.0.0.0/8"}, "network-v4"),
        ({"v4": "100.0.0.0/8"}, "network-v4"),
        ({"v4": "127.0.0.0/8"}, "network-v4"),
        ({"v4": "172.0.0.0/8"}, "network-v4"),
        ({"v4": "192.0.0.0/8"}, "network-v4"),
        ({"v4": "240.0.0.0/8"}, "network-v4"),
        ({"v4": "nonsense"}, "network-v4"),
        ({"v4": "10.1.0.0/8"}, "network-v4"),
        ({"v6": "fdee::/48"}, "network-v6"),
        ({"v6": "2001:db8::/64"}, "network-v6"),
        ({"v6": "fdee::1/64"}, "network-v6"),
    ],
)
def test_what_is_no_network_for_a_cluster(settings: dict[str, str], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        choose_ranges((), random_bytes=fixed, **settings)
    assert caught.value.path == path


def test_ranges_that_clients_refuse_are_refused_with_a_way_out() -> None:
    with pytest.raises(Invalid, match=r"--allow-range 198\.18\.0\.0/15") as caught:
        choose_ranges((), v4="198.18.0.0/15", random_bytes=fixed)
    assert "--network-v4 10.192.0.0/12" in caught.value.remedy


@pytest.mark.parametrize("text", ["100.64.0.0/10", "100.96.0.0/12", "10.0.0.0/8", "172.16.0.0/12"])
def test_what_the_server_takes_clients_take_and_the_reverse(text: str) -> None:
    chosen = choose_ranges((), v4=text, random_bytes=fixed)
    assert chosen.v4 == IPv4Network(text)
    _check_private(chosen.v4, text, ())
    assert not clients_take(IPv4Network("198.18.0.0/15"))
    with pytest.raises(TunnelError):
        _check_private(IPv4Network("198.18.0.0/15"), "it", ())


def test_a_taken_random_network_is_drawn_again_and_a_given_one_is_not() -> None:
    draws = [b"\xa1\xa2", b"\xa1\xa2", b"\xb1\xb2"]
    routes = ["fdee:a1a2::/64"]
    chosen = choose_ranges(routes, random_bytes=lambda _: draws.pop(0))
    assert chosen.v6 == IPv6Network("fdee:b1b2::/64")
    assert not draws
    with pytest.raises(Invalid, match="fdee:a1a2::/64"):
        choose_ranges(routes, v6="fdee:a1a2::/64", random_bytes=fixed)
    with pytest.raises(Invalid, match="overlaps"):
        choose_ranges(routes, random_bytes=lambda _: b"\xa1\xa2")


@given(st.integers(0, 255), st.integers(16, 254))
def test_addresses_of_services_are_in_their_block_and_lead_back(block: int, host: int) -> None:
    network = plan()
    index = block * 256 + host
    address = network.service(index)
    v4, v6 = network.blocks([block])
    assert IPv4Network(v4).supernet_of(IPv4Network(address.ipv4))
    assert IPv6Network(v6).supernet_of(IPv6Network(address.ipv6))
    assert IPv4Network(v4).prefixlen == 24
    assert IPv6Network(v6).prefixlen == 112
    assert network.service_index(address) == index
    assert network.service_index(meta.DualStackIp(ipv6=address.ipv6)) == index


@given(st.integers(1, 65534))
def test_addresses_of_sessions_share_their_index(index: int) -> None:
    network = plan()
    both = network.session(index)
    assert network.session_index(both) == index
    assert network.session_index(meta.DualStackNetwork(v6=both.v6)) == index
    v4, v6 = IPv4Network(both.v4), IPv6Network(both.v6)
    assert v4.subnet_of(network.sessions_v4)
    assert v6.subnet_of(network.sessions_v6)
    assert v4.network_address.packed[2:] == v6.network_address.packed[14:]


def test_addresses_of_other_plans_lead_nowhere() -> None:
    network = plan()
    assert network.service_index(meta.DualStackIp(ipv4="10.0.0.1")) is None
    assert network.service_index(meta.DualStackIp(ipv6="fdef::1")) is None
    assert network.service_index(meta.DualStackIp(ipv6="fdee:a1a2::ffff")) is None
    assert network.session_index(meta.DualStackNetwork(v4="100.64.0.1/32")) is None
    assert network.session_index(meta.DualStackNetwork(v6="fdef::1/128")) is None


def test_neighbouring_blocks_are_one_network() -> None:
    network = plan()
    assert network.blocks([0, 1]) == ["100.64.0.0/23", "fdee:a1a2::/111"]
    assert network.blocks(range(256)) == ["100.64.0.0/16", "fdee:a1a2::/104"]
    assert network.blocks([0, 2])[:2] == ["100.64.0.0/24", "100.64.2.0/24"]
    assert network.blocks([]) == []


@pytest.mark.parametrize(("mode", "missing"), [(MODES.V4_ONLY, "v6"), (MODES.V6_ONLY, "v4")])
def test_a_cluster_of_one_family_gives_addresses_of_that(mode: int, missing: str) -> None:
    config = core.ClusterConfig()
    put_ranges(config, choose_ranges((), random_bytes=fixed))
    config.status.network_config.mode = MODES.ClusterConfigStatusNetworkConfigMode.ValueType(mode)
    config.status.network_config.wireguard.mtu = 1400
    network = network_of(config)
    assert network is not None
    assert not getattr(network.session(5), missing)
    assert not getattr(network.service(21), f"ip{missing}")
    assert len(network.blocks([3])) == 1
    assert network.mtu == 1400
