from __future__ import annotations

import pytest

from octelium.tunnel.wireguard.endpoints import Endpoint, bucket_of, check_endpoint, packed
from octelium.tunnel.wireguard.errors import ConfigurationError


@pytest.mark.parametrize(
    ("endpoint", "wanted", "bucket"),
    [
        (("10.0.0.1", 258), "0a0000010102", "0a000001"),
        (("fd00::1", 1, 0, 0), "fd00" + "00" * 13 + "010001", "fd00" + "00" * 6),
        (("fe80::1%lo", 1, 0, 1), "fe80" + "00" * 13 + "010001", "fe80" + "00" * 6),
        (("::ffff:10.0.0.1", 1, 0, 0), "00" * 10 + "ffff0a0000010001", "0a000001"),
    ],
)
def test_a_place_in_bytes(endpoint: Endpoint, wanted: str, bucket: str) -> None:
    assert check_endpoint(endpoint) is endpoint
    assert packed(endpoint).hex() == wanted
    assert bucket_of(packed(endpoint)).hex() == bucket


def test_neighbours_of_one_ipv6_network_share_a_budget() -> None:
    one, other = packed(("2001:db8::1", 1, 0, 0)), packed(("2001:db8::ffff:1", 9, 0, 0))
    assert bucket_of(one) == bucket_of(other)
    assert bucket_of(one) != bucket_of(packed(("2001:db8:0:1::1", 1, 0, 0)))


@pytest.mark.parametrize(
    "endpoint",
    [
        ("host.example", 1),
        ("", 1),
        ("10.0.0.1\0", 1),
        ("fd00::1", 1),
        ("10.0.0.1", 1, 0, 0),
        ("10.0.0.1", 0),
        ("10.0.0.1", 65_536),
        ("fd00::1", 1, 0),
    ],
)
def test_what_is_no_place(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigurationError, match="endpoint"):
        check_endpoint(endpoint)
