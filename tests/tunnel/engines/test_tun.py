from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.engines.tun import MOST_WAITING, TunPort
from octelium.tunnel.packets import virtio
from octelium.tunnel.packets.coalesce import coalesce
from tests.tunnel.engines.pairs import device
from tests.tunnel.packets.flows import segment, train

if TYPE_CHECKING:
    from collections.abc import Iterator

Ends = tuple[socket.socket, TunPort, "Counter[str]"]


@pytest.fixture
def ends() -> Iterator[Ends]:
    kernel, engine = device()
    counters: Counter[str] = Counter()
    with kernel, engine:
        yield kernel, TunPort(engine.fileno(), counters), counters


def test_large_packets_are_cut_and_joined(ends: Ends) -> None:
    kernel, port, counters = ends
    packets = train(4, bytes(range(256)) * 20, 1000)
    (frame,) = coalesce(packets)
    kernel.send(frame)
    assert [bytes(each) for each in port.read()] == packets
    port.write(packets)
    assert kernel.recv(70_000) == frame
    assert (counters["tun_read"], counters["tun_read_calls"], counters["tun_written"]) == (6, 1, 1)
    assert port.read() == []


def test_a_turn_is_bounded(ends: Ends) -> None:
    kernel, port, _ = ends
    packet = virtio.PLAIN + segment(4, b"x")
    for _ in range(30):
        kernel.send(packet)
    first = len(port.read())
    assert first < 30
    assert len(port.read()) == 30 - first


def test_a_frame_that_cannot_be_is_dropped_alone(ends: Ends) -> None:
    kernel, port, counters = ends
    packet = segment(4, b"x")
    kernel.send(b"no frame")
    kernel.send(virtio.PLAIN + packet)
    assert [bytes(each) for each in port.read()] == [packet]
    assert counters["tun_malformed"] == 1


def test_a_full_device(ends: Ends) -> None:
    kernel, port, counters = ends
    packets = [segment(4, b"", sequence=number) for number in range(3000)]
    for at in range(0, 3000, 100):
        port.write(packets[at : at + 100])
    assert len(port.waiting) == MOST_WAITING
    assert counters["tun_dropped"] == 3000 - MOST_WAITING - counters["tun_written"] > 0
    kept = 3000 - counters["tun_dropped"]
    found: list[bytes] = []
    while port.waiting or len(found) < kept:
        port.flush()
        while True:
            try:
                found.append(kernel.recv(100)[10:])
            except BlockingIOError:
                break
    assert found == packets[:kept]


def test_nothing_overtakes_what_waits(ends: Ends) -> None:
    kernel, port, _ = ends
    packets = [segment(4, b"", sequence=number) for number in range(400)]
    port.write(packets[:399])
    assert port.waiting
    found = [kernel.recv(100)[10:]]
    port.write(packets[399:])  # there is room again
    while len(found) < 400:
        port.flush()
        found.append(kernel.recv(100)[10:])
    assert found == packets


def test_refusals_are_counted(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO: the device is down; EINVAL: the kernel takes the packet for nonsense."""
    _, port, counters = ends

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "down")

    monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(os, "read", refuse)
    port.write([segment(4, b"")])
    assert port.read() == []
    monkeypatch.undo()
    assert counters["tun_write_EIO"] == 1
    assert counters["tun_read_EIO"] == 1
    assert not port.waiting


@pytest.mark.parametrize("number", [errno.EBADFD, errno.EBADF, errno.ENODEV])
def test_a_device_that_is_gone(ends: Ends, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    _, port, _ = ends

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(EngineError, match="gone"):
        port.read()
    with pytest.raises(EngineError, match="gone"):
        port.write([segment(4, b"")])
    monkeypatch.undo()
