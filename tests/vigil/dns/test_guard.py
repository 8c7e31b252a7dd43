from __future__ import annotations

import ipaddress

import dns.rdata
import pytest

from octelium.vigil.dns.guard import Guard
from octelium.vigil.dns.zones import Suffixes, domain_labels

GUARD = Guard(
    [ipaddress.ip_network(n) for n in ("100.64.0.0/16", "100.65.0.0/16", "fdee:1::/80")],
    lambda name: Suffixes(domain_labels("octelium.test")).split(name) is not None,
)


def refused(kind: str, text: str) -> bool:
    data = dns.rdata.from_text("IN", kind, text)
    return GUARD.refuses(int(data.rdtype), data)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("A", "100.64.0.20"),
        ("A", "100.65.255.255"),
        ("AAAA", "fdee:1::20"),
        ("AAAA", "::ffff:100.64.0.20"),
        ("AAAA", "::100.64.0.20"),
        ("AAAA", "64:ff9b::100.64.0.20"),
        ("AAAA", "64:ff9b:1::100.64.0.20"),
        ("AAAA", "2002:6440:14::1"),
        ("HTTPS", "1 . ipv4hint=192.0.2.1,100.64.0.20"),
        ("HTTPS", "1 . alpn=h2 ipv6hint=fdee:1::20"),
        ("SVCB", "1 a.example. ipv4hint=100.65.0.1"),
        ("CNAME", "wiki.local."),
        ("CNAME", "WIKI.Local.Octelium.Test."),
        ("DNAME", "octelium.test.local."),
        ("HTTPS", "0 wiki.local."),
    ],
)
def test_what_points_into_the_cluster(kind: str, text: str) -> None:
    assert refused(kind, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("A", "100.67.0.1"),
        ("A", "192.168.0.1"),
        ("AAAA", "fdee:1:0:0:1::20"),
        ("AAAA", "::ffff:192.0.2.1"),
        ("AAAA", "2001:db8::6440:14"),
        ("HTTPS", "1 . alpn=h2,h3 port=443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"),
        ("CNAME", "wiki.octelium.test."),
        ("CNAME", "local.example.com."),
        ("TXT", '"100.64.0.20"'),
        ("MX", "10 wiki.local."),
        ("NS", "ns.example."),
        ("PTR", "wiki.local."),
    ],
)
def test_what_does_not(kind: str, text: str) -> None:
    assert not refused(kind, text)
