from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.gateway.peers import PeerError, Ranges, peer_of, ranges_of
from octelium.schema.pb import core_v1_pb2 as core
from tests.gateway.world import L3, config, key, session

_MODES = core.ClusterConfigStatusNetworkConfigMode__
RANGES = Ranges(("100.64.0.0/16", "fdee::/80"), ("100.65.0.0/16", "fdee::1:0:0:0/80"))


def test_the_ranges_are_those_of_the_clusters_families() -> None:
    assert ranges_of(config()) == RANGES
    one = config()
    one.status.network_config.mode = _MODES.V6_ONLY
    one.status.network_config.wireguard.mtu = 1400
    assert ranges_of(one) == Ranges(("fdee::/80",), ("fdee::1:0:0:0/80",), 1400)
    one.status.network_config.mode = _MODES.V4_ONLY
    assert ranges_of(one) == Ranges(("100.64.0.0/16",), ("100.65.0.0/16",), 1400)


def test_without_a_network_there_are_no_ranges() -> None:
    assert ranges_of(core.ClusterConfig()) is None
    with pytest.raises(PeerError, match="network"):
        ranges_of(config(v4="100.64.0.1/16"))


def test_services_are_here_and_sessions_behind_the_device() -> None:
    plan = RANGES.link_plan(offload=True)
    assert plan.local_routes == RANGES.services
    assert plan.tun_routes == RANGES.sessions
    assert plan.tun_addresses == ()
    assert plan.firewall is not None
    assert (plan.firewall.peers, plan.firewall.own) == (RANGES.sessions, RANGES.services)


def test_probes_go_from_a_service_to_nobody() -> None:
    for ranges in (RANGES, Ranges(RANGES.services[1:], RANGES.sessions[1:])):
        source, target = map(ip_address, ranges.probe())
        assert source in ip_network(ranges.services[0])
        assert target in ip_network(ranges.sessions[0])
        assert (int(target) - int(ip_network(ranges.sessions[0])[0])) % 256 == 0


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        (L3.BOTH, ("100.65.0.7/32", "fdee:0:0:0:1::7/128")),
        (L3.V4, ("100.65.0.7/32",)),
        (L3.V6, ("fdee:0:0:0:1::7/128",)),
    ],
)
def test_a_peer_has_the_addresses_of_its_mode_alone(mode: int, allowed: tuple[str, ...]) -> None:
    made = session(7)
    made.status.connection.l3_mode = L3.SessionStatusConnectionL3Mode.ValueType(mode)
    peer = peer_of(made, RANGES)
    assert peer.public_key == key(7)
    assert tuple(map(ip_network, peer.allowed_ips)) == tuple(map(ip_network, allowed))


def test_a_peer_has_no_address_of_a_family_that_the_cluster_has_not() -> None:
    only = Ranges(RANGES.services[:1], RANGES.sessions[:1])
    assert peer_of(session(7), only).allowed_ips == ("100.65.0.7/32",)


@pytest.mark.parametrize(
    ("v4", "problem"),
    [
        ("100.65.0.0/16", "more than one address"),
        ("0.0.0.0/0", "more than one address"),
        ("100.64.0.7/32", "is not of"),
        ("10.0.0.1/32", "is not of"),
        ("100.65.0.7/33", "100.65.0.7/33"),
        ("nonsense", "nonsense"),
        ("", "no address"),
    ],
)
def test_a_peer_that_would_have_others_addresses_is_none(v4: str, problem: str) -> None:
    made = session(7)
    made.status.connection.l3_mode = L3.V4
    made.status.connection.addresses[0].v4 = v4
    with pytest.raises(PeerError, match=problem):
        peer_of(made, RANGES)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_whatever_is_allowed_is_one_address_of_a_session(address: int, length: int) -> None:
    made = session(7)
    made.status.connection.l3_mode = L3.V4
    made.status.connection.addresses[0].v4 = f"{ip_address(address)}/{length}"
    try:
        peer = peer_of(made, RANGES)
    except PeerError:
        return
    (allowed,) = map(ip_network, peer.allowed_ips)
    assert allowed.prefixlen == 32
    assert allowed.network_address in ip_network("100.65.0.0/16")


def test_a_key_has_its_length() -> None:
    with pytest.raises(PeerError, match="31 bytes"):
        peer_of(session(7, public_key=b"k" * 31), RANGES)
