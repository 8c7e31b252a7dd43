from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from octelium.ingress import private_listeners
from octelium.ingress.private_listeners import Kind, Listener, PrivateListeners

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

A: Listener = ("tcp", int(socket.AF_INET), 1)
B: Listener = ("udp", int(socket.AF_INET), 2)


class Sockets:
    def __init__(self) -> None:
        self.asked: list[Listener] = []
        self.released: list[Listener] = []
        self.broken: set[Listener] = set()
        self.made: dict[Listener, socket.socket] = {}

    async def listen(self, kind: Kind, family: int, port: int) -> socket.socket:
        key = (kind, family, port)
        self.asked.append(key)
        await asyncio.sleep(0)
        if key in self.broken:
            raise OSError("broken for a test")
        ours, theirs = socket.socketpair()
        self.made[key] = theirs
        return ours

    async def release(self, kind: Kind, family: int, port: int) -> None:
        self.released.append((kind, family, port))
        self.made.pop((kind, family, port)).close()

    def close(self) -> None:
        for one in self.made.values():
            one.close()


def take(_key: Listener, one: socket.socket) -> None:
    one.recv(1)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def test_following_what_is_wanted() -> None:
    sockets = Sockets()
    listeners = PrivateListeners(sockets, take)
    listeners.want(frozenset({A}))
    await until(lambda: listeners.open == {A})
    listeners.want(frozenset({A, B}))
    await until(lambda: listeners.open == {A, B})
    listeners.want(frozenset({B}))
    await until(lambda: sockets.released == [A])
    assert sockets.asked == [A, B]
    listeners.close()
    assert listeners.open == frozenset()
    assert sockets.released == [A]  # others may still listen
    listeners.want(frozenset({A}))
    await asyncio.sleep(0.01)
    assert sockets.asked == [A, B]
    sockets.close()


async def test_what_is_not_wanted_any_more_when_it_comes() -> None:
    sockets = Sockets()
    listeners = PrivateListeners(sockets, take)
    listeners.want(frozenset({A}))
    await until(lambda: sockets.asked)
    listeners.want(frozenset({B}))
    await until(lambda: listeners.open == {B})
    listeners.close()
    sockets.close()


async def test_a_failure_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(private_listeners, "_AGAIN", 0.01)
    sockets = Sockets()
    sockets.broken = {A}
    listeners = PrivateListeners(sockets, take)
    listeners.want(frozenset({A, B}))
    await until(lambda: listeners.open == {B})
    await until(lambda: sockets.asked.count(A) > 2)
    assert "cannot listen on port 1/tcp" in caplog.text
    sockets.broken = set()
    await until(lambda: listeners.open == {A, B})
    listeners.close()
    sockets.close()


async def test_without_descriptors_there_is_a_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(private_listeners, "_EXHAUSTED", 0.01)
    taken: list[bytes] = []
    failures = 3

    def readable(_key: Listener, one: socket.socket) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(24, "Too many open files")
        taken.append(one.recv(1))

    sockets = Sockets()
    listeners = PrivateListeners(sockets, readable)
    listeners.want(frozenset({A}))
    await until(lambda: listeners.open)
    sockets.made[A].send(b"abc")
    await until(lambda: taken == [b"a", b"b", b"c"])
    assert caplog.text.count("Too many open files") == 3
    listeners.close()
    sockets.close()
