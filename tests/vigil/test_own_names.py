from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.replica.addresses import packed
from octelium.vigil.own_names import OwnNames

if TYPE_CHECKING:
    import ipaddress

DOMAIN = "example.com"
LABELS = ("wiki", "prod", "default", "local", "example", "com", "localhost", "evil")
V4, V6 = packed("100.64.0.16") or b"", packed("fdee:1::10") or b""


def names(service: str, domain: str = DOMAIN) -> OwnNames:
    return OwnNames(service, domain, (V4, V6))


@pytest.mark.parametrize(
    ("service", "own", "foreign"),
    [
        (
            "wiki.default",
            (
                "wiki wiki.local wiki.default.local wiki.local.example.com wiki.example.com "
                "wiki.default.local.example.com wiki.example.com.local "
                "wiki.default.example.com.local "
                "wiki.default.example.com wiki.default a.b.wiki.default.local.example.com "
                "x.wiki.default.local wiki.local."
            ),
            (
                "wiki.prod.local wiki.com example.com local local.example.com wiki.local.evil.test "
                "wiki.local.. .wiki.local x.wiki.local evil-wiki.default.local"
            ),
        ),
        (
            "wiki.prod",
            (
                "wiki.prod.local wiki.prod.local.example.com wiki.prod.example.com.local "
                "wiki.prod.example.com x.wiki.prod.local"
            ),
            "wiki wiki.local wiki.prod prod.local wiki.example.com",  # .prod is a public domain
        ),
        ("wiki.eu-1", "wiki.eu-1 wiki.eu-1.local", "wiki eu-1 eu-1.local"),
        ("wiki.xn--p1ai", "wiki.xn--p1ai.local", "wiki.xn--p1ai"),
        (
            "default.prod",
            "prod.local prod.local.example.com default.prod.local prod.example.com",
            "prod default.prod default.local local",
        ),
        (
            "default.default",
            (
                "local local.example.com example.com.local example.com default default.local "
                "default.default.example.com"
            ),
            "com",
        ),
    ],
)
def test_every_spelling(service: str, own: str, foreign: str) -> None:
    made = names(service)
    for name in own.split():
        assert made.has(name.encode()), name
    for name in foreign.split():
        assert not made.has(name.encode()), name


def test_addresses() -> None:
    made = names("wiki.default")
    for own in (b"100.64.0.16", b"[fdee:1::10]", b"[FDEE:1:0::10]".lower(), b"[fdee:1:0:0::10]"):
        assert made.has(own)
    for foreign in (b"100.64.0.17", b"[fdee:1::11]", b"[::ffff:100.64.0.16]", b"100.64.16", b"[]"):
        assert not made.has(foreign)


def test_this_computer() -> None:
    made = names("wiki.default")
    for own in (b"localhost", b"app.localhost", b"127.0.0.1", b"127.9.9.9", b"[::1]"):
        assert made.has(own)
    for foreign in (b"localhost.evil.test", b"0.0.0.0", b"[::]", b"xlocalhost", b"127.1"):
        assert not made.has(foreign)


def test_before_the_domain_is_known() -> None:
    made = names("wiki.default", "")
    assert made.has(b"wiki.local")
    assert not made.has(b"")


def test_aliases() -> None:
    made = OwnNames("x.octelium-api", DOMAIN, (), (f"octelium-api.{DOMAIN}",))
    assert made.has(b"octelium-api.example.com")


@given(st.binary(max_size=60))
def test_bytes_of_any_kind(host: bytes) -> None:
    assert names("wiki.default").has(host) in (True, False)


@given(st.ip_addresses())
def test_only_own_addresses(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    own = address.packed in (V4, V6) or address.is_loopback
    mapped = getattr(address, "ipv4_mapped", None) is not None
    assert names("wiki.default").has(host.encode()) is (own and not mapped)


@given(st.lists(st.text("abx0-", min_size=1) | st.sampled_from(LABELS), min_size=2, max_size=5))
def test_public_domains_of_others(labels: list[str]) -> None:
    host = ".".join(labels)
    if not host.endswith((".local", ".localhost", f".{DOMAIN}")) and host != DOMAIN:
        made = names("wiki.prod")
        assert not made.has(host.encode())
