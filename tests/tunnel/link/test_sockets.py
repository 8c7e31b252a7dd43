from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.link import protocol
from octelium.tunnel.link.plan import LinkPlan
from octelium.tunnel.link.protocol import Reply, Request
from octelium.tunnel.link.sockets import LinkError, LinkSockets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_sockets_dial_from_services_to_sessions(in_link: Callable[[str], str]) -> None:
    in_link("dialling")


def test_the_device_is_for_one_process_at_a_time(in_link: Callable[[str], str]) -> None:
    in_link("exclusive")


def test_a_thousand_sockets(in_a_link: Callable[[str], str]) -> None:
    in_a_link("many")


class Other:
    """A link process as the tests want it, in the same loop."""

    def __init__(self, path: Path) -> None:
        self.listening = protocol.listen(path)

    async def client(self) -> socket.socket:
        channel, _ = await asyncio.get_running_loop().sock_accept(self.listening)
        return channel

    async def request(self, channel: socket.socket) -> Request:
        return Request.decode(await asyncio.get_running_loop().sock_recv(channel, 20000))


async def test_waits_no_longer_than_its_patience(tmp_path: Path) -> None:
    nobody = LinkSockets(tmp_path / "none", patience=0.05)
    patient = LinkSockets(tmp_path / "none", patience=3600)
    waiting = asyncio.ensure_future(patient.status())  # noqa: TID251  (kept here)
    with pytest.raises(LinkError) as caught:
        await nobody.listen("tcp", socket.AF_INET, 80)
    assert caught.value.errno == errno.ETIMEDOUT
    with pytest.raises(LinkError):
        await nobody.dial("tcp", socket.AF_INET)
    assert not waiting.done()
    patient.close()
    with pytest.raises(LinkError, match="closed"):
        await waiting
    nobody.close()
    with pytest.raises(LinkError, match="closed"):
        await nobody.status()


async def test_closing_ends_what_waits(tmp_path: Path) -> None:
    sockets = LinkSockets(tmp_path / "none")
    waiting = [
        asyncio.ensure_future(each)  # noqa: TID251  (kept here)
        for each in (sockets.status(), sockets.dial("tcp", socket.AF_INET), sockets.tun())
    ]
    await asyncio.sleep(0)
    sockets.close()
    for each in waiting:
        with pytest.raises(LinkError, match="closed"):
            await each


async def test_a_lost_answer_is_asked_for_again_by_the_plan_first(tmp_path: Path) -> None:
    other = Other(tmp_path / "link")
    sockets = LinkSockets(tmp_path / "link", plan=LinkPlan(1280))
    waiting = asyncio.ensure_future(sockets.status())  # noqa: TID251  (kept here)
    for _ in range(3):
        channel = await other.client()
        assert (await other.request(channel)).do == "configure"
        assert (await other.request(channel)).do == "status"
        channel.close()  # like a process that was killed before it could answer
    assert not waiting.done()
    sockets.close()
    with pytest.raises(LinkError):
        await waiting
    other.listening.close()


async def test_a_refusal_is_told_and_a_plan_refused_is_not_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Other(tmp_path / "link")
    sockets = LinkSockets(tmp_path / "link", plan=LinkPlan(1280))
    waiting = asyncio.ensure_future(sockets.configure(LinkPlan(1400)))  # noqa: TID251  (kept here)
    channel = await other.client()
    for _ in range(2):  # said as the plan of the link, and asked
        request = await other.request(channel)
        assert request.plan == LinkPlan(1400)
        channel.send(Reply(request.number, "no", errno.EINVAL).encode())
    with pytest.raises(LinkError, match="no"):
        await waiting
    assert sockets.plan == LinkPlan(1280)
    assert caplog.records == [], "whoever asked has heard it"
    sockets.close()
    channel.close()
    other.listening.close()


async def test_nonsense_from_the_other_side_is_a_lost_connection(tmp_path: Path) -> None:
    other = Other(tmp_path / "link")
    sockets = LinkSockets(tmp_path / "link")
    waiting = asyncio.ensure_future(sockets.dial("tcp", socket.AF_INET))  # noqa: TID251  (kept here)
    with await other.client() as first:
        first.send(b"nonsense")
        with await other.client() as second:
            request = await other.request(second)
            with socket.socket() as made:
                socket.send_fds(second, [Reply(request.number).encode()], [made.fileno()])
            (await waiting).close()
    sockets.close()
    other.listening.close()


async def test_many_who_wait_get_theirs_in_turn_and_are_asked_for_together(tmp_path: Path) -> None:
    other = Other(tmp_path / "link")
    sockets = LinkSockets(tmp_path / "link", spare=2)
    got: list[int] = []

    async def one(number: int) -> None:
        (await sockets.dial("udp", socket.AF_INET)).close()
        got.append(number)

    waiting = [asyncio.ensure_future(one(number)) for number in range(100)]  # noqa: TID251  (kept)
    channel = await other.client()
    asked: list[int] = []
    while sum(asked) < 100:
        request = await other.request(channel)
        asked.append(request.count)
        if len(asked) == 1:  # who gives up is passed over
            waiting[1].cancel()
        made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(request.count)]
        numbers = [each.fileno() for each in made]
        socket.send_fds(channel, [Reply(request.number).encode()], numbers)
        for each in made:
            each.close()
    await asyncio.wait(waiting)
    assert waiting[1].cancelled()
    assert got == [0, *range(2, 100)]
    assert asked[:3] == [2, 64, 33]
    sockets.close()
    channel.close()
    other.listening.close()


async def test_a_refusal_is_told_to_all_who_wait(tmp_path: Path) -> None:
    other = Other(tmp_path / "link")
    sockets = LinkSockets(tmp_path / "link")
    waiting = [
        asyncio.ensure_future(sockets.dial("tcp", socket.AF_INET))  # noqa: TID251  (kept here)
        for _ in range(3)
    ]
    channel = await other.client()
    request = await other.request(channel)
    channel.send(Reply(request.number, "no", errno.EMFILE).encode())
    for each in waiting:
        with pytest.raises(LinkError, match="no"):
            await each
    sockets.close()
    channel.close()
    other.listening.close()


async def test_descriptors_that_nobody_waits_for_are_closed(tmp_path: Path) -> None:
    other = Other(tmp_path / "link")
    sockets = LinkSockets(tmp_path / "link", patience=0.05)
    with pytest.raises(LinkError):
        await sockets.tun()
    channel = await other.client()
    request = await other.request(channel)
    ours, theirs = socket.socketpair()
    socket.send_fds(channel, [Reply(request.number).encode()], [theirs.fileno()])
    theirs.close()
    ours.setblocking(False)
    assert await asyncio.get_running_loop().sock_recv(ours, 1) == b""
    sockets.close()
    for each in (channel, ours, other.listening):
        each.close()
