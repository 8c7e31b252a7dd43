from __future__ import annotations

import socket

import pytest

from octelium.tunnel.engines.places import from_place, to_place
from octelium.tunnel.wireguard import ConfigurationError

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("place", "v4", "endpoint"),
    [
        (("192.0.2.1", 5), V4, ("192.0.2.1", 5)),
        (("192.0.2.1", 5), V6, ("::ffff:192.0.2.1", 5, 0, 0)),
        (("2001:db8::1", 65535), V4, ("2001:db8::1", 65535, 0, 0)),
    ],
)
def test_there_and_back(place: tuple[str, int], v4: int, endpoint: tuple[object, ...]) -> None:
    found = from_place(place, v4=v4, v6=True)
    assert found == endpoint
    assert to_place(found) == place


def test_scopes() -> None:
    index = socket.if_nametoindex("lo")
    found = from_place(("fe80::1%lo", 7), v4=None, v6=True)
    assert found[1:] == (7, 0, index)
    assert to_place(("fe80::1", 7, 0, index)) == (f"fe80::1%{index}", 7)
    assert to_place(("fe80::1%lo", 7, 0, index)) == ("fe80::1%lo", 7)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("example.com", 1), "example.com"),
        (("", 1), "no address"),
        (("192.0.2.1", 0), "port must be"),
        (("192.0.2.1", 65536), "port"),
        (("192.0.2.1", 70000), "port"),
        (("\udcff", 1), "endpoint"),
        (("a" * 300, 1), "endpoint"),
        (("::1", 1), "no socket for IPv6"),
        (("192.0.2.1", 1), "no socket for IPv4"),
    ],
)
def test_what_is_no_place(place: tuple[str, int], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        from_place(place, v4=None, v6=False)
