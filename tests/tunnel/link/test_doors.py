from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.link import doors
from octelium.tunnel.link.doors import ROLES, RoleError
from octelium.tunnel.link.protocol import ProtocolError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.tunnel.link.opening import Kind

EVERYTHING = ("listen", "adopt", "release", "sockets", "tun", "configure", "status")


def test_each_role_has_what_it_needs(in_link: Callable[[str], str]) -> None:
    in_link("entries.roles")


def test_who_comes_in_between_is_served_by_the_next_process(
    in_a_link: Callable[[str], str],
) -> None:
    in_a_link("entries.replaced")


def test_what_is_no_channel_is_left_out(in_a_link: Callable[[str], str]) -> None:
    in_a_link("entries.strangers")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("do", EVERYTHING)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_only_what_is_a_roles_is_granted(role: str, do: str, kind: Kind) -> None:
    granted = {
        "control": {"configure", "status"},
        "gateway": {"tun", "status", *(["sockets"] if kind == "udp" else [])},
        "worker": {"listen", "adopt", "release", "sockets", "status"},
    }
    request = Request(1, do, kind=kind)
    if do in granted[role]:
        doors.check(role, request)
    else:
        with pytest.raises(RoleError, match=f"not for a {role}"):
            doors.check(role, request)


def test_a_channel_waits_and_goes_both_ways() -> None:
    door = doors.make("worker")
    with pytest.raises(BlockingIOError):
        doors.answer(door.inner)
    with doors.knock(door.outer) as mine:
        mine.send(b"before")
        with doors.answer(door.inner) as other:
            assert other.recv(10) == b"before"
            other.send(b"answer")
            assert mine.recv(10) == b"answer"
    with socket.socket() as wrong:
        socket.send_fds(door.outer, [b"channel"], [wrong.fileno()])
    with pytest.raises(ProtocolError, match="another kind"):
        doors.answer(door.inner)
    door.close()
