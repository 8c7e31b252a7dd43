from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns.wanted import NamesWanted, parse_place, parse_zone
from octelium.client.tunnel.errors import WantedError

if TYPE_CHECKING:
    import ipaddress


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5300", ("127.0.0.1", 5300)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5300", ("::1", 5300)),
        ("0.0.0.0:53", ("0.0.0.0", 53)),
    ],
)
def test_places(text: str, place: tuple[str, int]) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not an IP address"),
        ("localhost", "'localhost' is not an IP address"),
        ("127.0.0.1:", "'' is not a port"),
        ("127.0.0.1:0", "'0' is not a port"),
        ("127.0.0.1:65536", "'65536' is not a port"),
        ("127.0.0.1:٥٣", "is not a port"),
        ("[127.0.0.1]:53", "brackets are for an IPv6 address"),
        ("[::1", "brackets are for an IPv6 address"),
        ("[::1]53", "brackets are for an IPv6 address"),
        ("[::1]:", "'' is not a port"),
        ("fe80::1%eth0", "nothing can listen there"),
        ("224.0.0.1", "nothing can listen there"),
    ],
)
def test_other_forms(text: str, why: str) -> None:
    with pytest.raises(WantedError) as caught:
        parse_place(text)
    assert why in str(caught.value)
    assert "127.0.0.1:5300" in caught.value.remedy


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_a_place_that_is_written_is_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    try:
        assert parse_place(text) == (str(address), port)
    except WantedError:
        assert address.is_multicast or "%" in text


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_place, parse_zone):
        with suppress(WantedError):
            parse(text)


def test_whether_others_can_ask() -> None:
    assert not NamesWanted().is_open
    for text, is_open in (("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("::", True)):
        assert NamesWanted(parse_place(text)).is_open == is_open


def test_zones() -> None:
    assert parse_zone("Corp.Example.") == "corp.example"
    assert parse_zone("_tcp.corp") == "_tcp.corp"
    for text in ("", ".", "a..b", "-a", "a b", "é.example", "x" * 64, ".".join(["x" * 49] * 6)):
        with pytest.raises(WantedError, match="not a domain name"):
            parse_zone(text)
