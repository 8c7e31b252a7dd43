from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.link import protocol
from octelium.tunnel.link.plan import LinkPlan
from octelium.tunnel.link.protocol import ProtocolError, Reply, Request

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.tunnel.link.opening import Kind

NUMBERS = st.integers(0, 2**31 - 1)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["tcp", "udp"])
FAMILIES = st.sampled_from([socket.AF_INET, socket.AF_INET6])
REQUESTS = st.one_of(
    st.builds(
        Request,
        NUMBERS,
        st.sampled_from(["listen", "adopt", "release"]),
        KINDS,
        FAMILIES,
        st.integers(1, 65535),
    ),
    st.builds(
        Request, NUMBERS, st.just("sockets"), KINDS, FAMILIES, st.just(0), st.integers(1, 64)
    ),
    st.builds(Request, NUMBERS, st.sampled_from(["tun", "status"])),
    st.builds(Request, NUMBERS, st.just("configure"), plan=st.just(LinkPlan(1280))),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(REQUESTS)
def test_requests_come_back(request: Request) -> None:
    data = request.encode()
    assert len(data) <= protocol.LONGEST
    assert Request.decode(data) == request


@given(NUMBERS, st.text(min_size=1), st.integers(1, 133), st.booleans())
def test_replies_come_back(number: int, error: str, errno: int, again: bool) -> None:
    for reply in (Reply(number, error, errno, again), Reply(number, result={"mtu": 1280})):
        assert Reply.decode(reply.encode()) == reply


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Request.decode(data)


@given(REQUESTS, st.sampled_from(["number", "do", "kind", "family", "port", "count", "plan"]), JSON)
def test_a_member_put_in_its_place_is_refused_or_means_what_it_says(
    request: Request, name: str, value: object
) -> None:
    said = {**json.loads(request.encode()), name: value}
    with contextlib.suppress(ProtocolError):
        decoded = Request.decode(json.dumps(said).encode())
        assert json.loads(decoded.encode()) == said
        assert all(type(said[key]) is type(json.loads(decoded.encode())[key]) for key in said)


@given(REQUESTS, st.data())
def test_a_member_left_out_is_refused(request: Request, data: st.DataObject) -> None:
    said = json.loads(request.encode())
    del said[data.draw(st.sampled_from(sorted(said)))]
    with pytest.raises(ProtocolError):
        Request.decode(json.dumps(said).encode())


@given(JSON)
def test_replies_that_are_none_are_refused(value: object) -> None:
    with contextlib.suppress(ProtocolError):
        Reply.decode(json.dumps(value).encode())


def test_the_socket_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "link.sock"
    with protocol.listen(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(OSError, match="in use"):
            protocol.listen(path)


def test_what_is_too_long_is_refused_and_its_descriptors_closed() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair()
    with one, other, ours:
        socket.send_fds(one, [bytes(protocol.LONGEST + 1)], [theirs.fileno()])
        theirs.close()
        with pytest.raises(ProtocolError):
            protocol.receive(other)
        assert ours.recv(1) == b""
        reading, writing = os.pipe()
        socket.send_fds(one, [b"x"], [writing] * 100)
        os.close(writing)
        with pytest.raises(ProtocolError):
            protocol.receive(other)
        assert os.read(reading, 1) == b""
        os.close(reading)
