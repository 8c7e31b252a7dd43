from __future__ import annotations

import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.link import netlink
from octelium.tunnel.link.netlink import Message, Netlink, NetlinkError

GETLINK, NEWLINK, GETADDR = 18, 16, 22


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_come_back(values: list[tuple[int, bytes]]) -> None:
    data = b"".join(netlink.attribute(kind, value) for kind, value in values)
    assert len(data) % 4 == 0
    assert list(netlink.attributes(data)) == values
    assert list(netlink.attributes(netlink.nested(1, data)[4:])) == values


@given(st.binary(max_size=64))
def test_any_bytes_are_attributes_or_an_error(data: bytes) -> None:
    try:
        found = list(netlink.attributes(data))
    except ValueError:
        return
    assert sum(4 + len(value) for _, value in found) <= len(data)


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_messages_or_an_error(data: bytes, headed: bool) -> None:
    if headed:
        data = struct.pack("=IHHII", 16 + len(data), 2, 0x200, 1, 0) + data
    with contextlib.suppress(ValueError):
        for _, flags, body in netlink.split(data):
            found = netlink._error(flags, body)
            assert found is None or found.errno


def test_what_there_is_can_be_listed() -> None:
    with Netlink(netlink.ROUTE) as route:
        found = route.dump(Message(GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0)))
    names = {dict(netlink.attributes(body[16:]))[3].rstrip(b"\0").decode() for _, body in found}
    assert names == {name for _, name in socket.if_nameindex()}


def test_a_refusal_is_an_error_with_the_kernels_reason() -> None:
    with Netlink(netlink.ROUTE) as route:
        with pytest.raises(NetlinkError) as caught:
            route.ask(Message(GETLINK, struct.pack("=BxHiII", 0, 0, 2**30, 0, 0)))
        assert caught.value.errno == errno.ENODEV
        # The socket is fit for the next question.
        assert route.dump(Message(GETADDR, bytes(8)))
