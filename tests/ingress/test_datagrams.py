from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.datagrams import Datagram, destination, is_address, receive, send
from octelium.replica.addresses import packed

if TYPE_CHECKING:
    import ipaddress

_PKTINFO = 8


def received(listener: socket.socket) -> Datagram | None:
    """The next datagram: even over loopback one may come a moment after it was sent."""
    assert select.select([listener], [], [], 60)[0]
    return receive(listener)


@pytest.mark.parametrize(
    ("family", "own", "option"),
    [
        (socket.AF_INET, "127.64.0.9", (socket.IPPROTO_IP, _PKTINFO)),
        (socket.AF_INET6, "::1", (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)),
    ],
)
def test_the_address_that_was_called_answers(
    family: socket.AddressFamily, own: str, option: tuple[int, int]
) -> None:
    with (
        socket.socket(family, socket.SOCK_DGRAM) as listener,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        listener.setsockopt(*option, 1)
        listener.bind(("", 0))
        client.settimeout(60)
        client.connect((own, listener.getsockname()[1]))
        for data in (b"x", b"", b"y" * 60_000):
            client.send(data)
            datagram = received(listener)
            assert datagram is not None
            assert datagram.data == data
            assert datagram.to == packed(own)
            assert datagram.sender == client.getsockname()[:2]
            send(listener, b"answer", datagram.to, datagram.sender)
            assert client.recv(100) == b"answer"  # else it is not from whom it is connected to
        with pytest.raises(BlockingIOError):
            receive(listener)


def test_without_a_destination() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.sendto(b"x", listener.getsockname())
        assert received(listener) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from((socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.SOL_SOCKET)),
            st.sampled_from((_PKTINFO, socket.IPV6_PKTINFO, 0)),
            st.binary(max_size=24),
        ),
        max_size=4,
    )
)
def test_ancillary_data_of_any_kind(ancillary: list[tuple[int, int, bytes]]) -> None:
    found = destination(ancillary)
    assert found is None or len(found) in (4, 16)


@given(st.ip_addresses(), st.integers(0, 2**31 - 1))
def test_destinations(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, interface: int
) -> None:
    if address.version == 4:
        value = struct.pack("=i", interface) + bytes(4) + address.packed
        made = (socket.IPPROTO_IP, _PKTINFO, value)
    else:
        value = address.packed + struct.pack("=i", interface)
        made = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, value)
    assert destination([(socket.SOL_SOCKET, 1, b"other"), made]) == address.packed


def test_senders() -> None:
    assert is_address(("100.65.0.7", 5))
    assert not is_address(("100.65.0.7", 0))
    assert not is_address(("nobody", 5))
