from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers.addresses import innermost, is_loopback_host, refusal


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "169.254.0.7",
        "168.63.129.16",
        "100.100.100.200",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
        "::a9fe:a9fe",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_never(text: str) -> None:
    for loopback in (False, True):
        assert refusal(ip_address(text), loopback=loopback)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_only_where_it_is_named(text: str) -> None:
    assert refusal(ip_address(text), loopback=False) == "is this machine"
    assert refusal(ip_address(text), loopback=True) is None


@pytest.mark.parametrize(
    "text", ["10.0.0.5", "192.168.1.5", "172.16.0.1", "100.64.0.1", "fd12::5", "8.8.8.8", "2600::1"]
)
def test_private_and_public_networks_are_usual(text: str) -> None:
    assert refusal(ip_address(text), loopback=False) is None


@given(st.ip_addresses(v=4))
def test_every_way_to_write_an_ipv4_address_is_judged_alike(address: IPv4Address) -> None:
    number = int(address)
    forms = [IPv6Address(0xFFFF << 32 | number), IPv6Address((0x64FF9B << 96) | number)]
    forms.append(IPv6Address(0x2002 << 112 | number << 80))
    for loopback in (False, True):
        expected = refusal(address, loopback=loopback)
        for form in forms:
            assert innermost(form) == address
            assert refusal(form, loopback=loopback) == expected


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("idp.localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("::1", True),
        ("[::ffff:127.0.0.1]", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("notlocalhost", False),
        ("", False),
    ],
)
def test_hosts(host: str, is_it: bool) -> None:
    assert is_loopback_host(host) is is_it
