from __future__ import annotations

import pytest

from octelium.http.message import HeaderBlock
from octelium.ingress.client_address import client_address

CHAIN = HeaderBlock(
    (
        (b"x-forwarded-for", b"10.0.0.1, 192.0.2.7"),
        (b"x-forwarded-for", b"2001:DB8::1 , 192.0.2.9"),
    )
)


@pytest.mark.parametrize(
    ("hops", "address"),
    [
        (0, "198.51.100.1"),
        (1, "192.0.2.9"),
        (2, "2001:db8::1"),
        (3, "192.0.2.7"),
        (4, "10.0.0.1"),
        (5, "198.51.100.1"),
        (11, "198.51.100.1"),
        (12, "198.51.100.1"),
        (-1, "198.51.100.1"),
    ],
)
def test_hops(hops: int, address: str) -> None:
    assert client_address("198.51.100.1", CHAIN, hops) == address


@pytest.mark.parametrize(
    "value", [b"", b"unknown", b"192.0.2.1:80", b"\xff", b"a,", b"192.0.2.300"]
)
def test_what_is_no_address(value: bytes) -> None:
    block = HeaderBlock(((b"x-forwarded-for", value),))
    assert client_address("198.51.100.1", block, 1) == "198.51.100.1"
    assert client_address("198.51.100.1", HeaderBlock(()), 1) == "198.51.100.1"
