from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.objects.public_networks import public_networks


def reached(address: str, *refused: str) -> bool:
    return any(block.holds(ip_address(address)) for block in public_networks(refused))


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"),
        *("168.63.129.15", "168.63.129.17"),
        *("172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255"),
        *("2a00:1450:4001::8", "2606:4700::1111", "2001:4860:4860::8888", "3ffe::1"),
        *("64:ff9b::8.8.8.8", "64:ff9b::101:101"),
    ],
)
def test_public_addresses_are_reached(address: str) -> None:
    assert reached(address)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "10.43.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("100.127.255.255", "169.254.169.254", "127.0.0.1", "0.0.0.0", "192.0.0.1", "198.18.0.1"),
        *("224.0.0.251", "239.255.255.255", "240.0.0.1", "255.255.255.255", "203.0.113.1"),
        *("::", "::1", "fc00::1", "fdff::1", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "::10.0.0.1", "64:ff9b::10.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8"),
        *("168.63.129.16", "100.100.100.200", "fd00:ec2::254", "192.0.0.192", "fd20:ce::254"),
        *("64:ff9b::168.63.129.16", "64:ff9b::100.100.100.200", "fe80::a9fe:a9fe"),
        *("2002:a00:1::1", "2002:808:808::1", "2001::1", "3fff::1", "5f00::1", "100::1", "4000::"),
    ],
)
def test_addresses_that_are_not_public_are_not(address: str) -> None:
    assert not reached(address)


@given(st.ip_addresses())
def test_what_is_reached_is_global(address: IPv4Address | IPv6Address) -> None:
    if any(block.holds(address) for block in public_networks(())):
        if address in ip_network("64:ff9b::/96"):
            address = IPv4Address(int(address) & 0xFFFFFFFF)
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_reserved
        assert not address.is_loopback
        assert not address.is_link_local


@pytest.mark.parametrize(
    ("refused", "inside", "outside"),
    [
        ("198.51.101.7", "198.51.101.7", "198.51.101.8"),
        ("198.51.101.7/24", "198.51.101.200", "198.51.102.1"),
        ("198.51.101.7", "64:ff9b::c633:6507", "64:ff9b::c633:6508"),
        ("2a01:4f8:1::1/64", "2a01:4f8:1::ffff", "2a01:4f8:1:1::1"),
        ("0.0.0.0/1", "8.8.8.8", "193.0.0.1"),
    ],
)
def test_further_addresses_are_refused(refused: str, inside: str, outside: str) -> None:
    assert reached(inside)
    assert not reached(inside, refused)
    assert reached(outside, refused)


def test_what_is_refused_whole_is_left_out() -> None:
    assert public_networks(("0.0.0.0/0", "::/0")) == ()
    assert public_networks(("0.0.0.0/1", "128.0.0.0/1", "2000::/3")) == ()
    assert [str(block.cidr) for block in public_networks(("2000::/3",))] == [
        *("0.0.0.0/0", "64:ff9b::/96"),
    ]


@given(st.lists(st.ip_addresses(v=4).map(lambda one: f"{one}/20"), max_size=4))
def test_exceptions_lie_strictly_within_and_apart(refused: list[str]) -> None:
    """What an API server takes."""
    for cidr, without in public_networks(tuple(refused)):
        for index, network in enumerate(without):
            assert network.version == cidr.version
            assert network != cidr
            assert network.subnet_of(cidr)  # type: ignore[arg-type]  # of one version
            assert not any(network.overlaps(other) for other in without[:index])


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="octelium"):
        public_networks(("octelium.test",))
