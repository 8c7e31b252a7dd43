from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns.suffixes import is_searched, is_under, private_suffixes, reverse_zones

RANGES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
LABEL = st.text("abcxyz019-", min_size=1, max_size=8)
SUFFIXES = private_suffixes(["local.example.com"], ["Corp.Test."])


def test_every_spelling_of_a_cluster() -> None:
    assert SUFFIXES == ("local.example.com", "example.com.local", "local", "corp.test")
    assert private_suffixes([]) == ()
    assert private_suffixes([], ["a.b", ""]) == ("a.b",)


def test_others_are_not_private() -> None:
    for name in (".", "example.com.", "www.example.com", "notlocal.example.com", "xlocal", "test"):
        assert not is_under(name, SUFFIXES), name


def test_public_names_with_a_search_domain_behind_them() -> None:
    """A Service of a Namespace looks like one where the domain has one label alone."""
    for name in (
        "octelium-api.example.com.local.example.com.",
        "A.b.Example.com.local.example.com",
    ):
        assert is_searched(name, SUFFIXES), name
    for name in ("wiki.local.example.com", "octelium-api.example.com", "a.example.com.local"):
        assert not is_searched(name, SUFFIXES), name
    assert not is_searched("wiki.lab.local.lab", private_suffixes(["local.lab"]))


def test_zones_of_ranges() -> None:
    assert reverse_zones(["100.64.0.0/16", "fdee:1:2:3::/80"]) == (
        "64.100.in-addr.arpa",
        "0.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.e.e.d.f.ip6.arpa",
    )
    assert reverse_zones(["10.0.0.0/15"]) == ("0.10.in-addr.arpa", "1.10.in-addr.arpa")


@given(RANGES, RANGES, st.data())
def test_just_the_addresses_of_a_range_are_in_its_zones(
    start: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address, data: st.DataObject
) -> None:
    length = data.draw(st.integers(8, start.max_prefixlen))
    network = ip_network((start, length), strict=False)
    zones = reverse_zones([str(network)])
    assert is_under(start.reverse_pointer, zones)
    assert is_under(other.reverse_pointer, zones) == (other in network)


@given(st.lists(LABEL, max_size=4), st.sampled_from(SUFFIXES), st.booleans())
def test_all_below_is_private_in_any_case(labels: list[str], suffix: str, upper: bool) -> None:
    name = ".".join([*labels, suffix])
    assert is_under(name.upper() if upper else name, SUFFIXES)
    assert is_under(name + ".", SUFFIXES)
    assert not is_under("".join(labels) + "x" + suffix, (suffix,))
