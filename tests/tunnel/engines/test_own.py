from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from octelium.tunnel.engines.interface import ConfigurationError, EngineError, PeerConfig
from octelium.tunnel.engines.own import OwnEngine, boottime
from octelium.tunnel.packets import virtio
from octelium.tunnel.wireguard import Device, Timing, Totals
from octelium.tunnel.wireguard import PeerConfig as DevicePeer
from tests.tunnel.engines.pairs import End, address, keys, packet, pair, udp_socket, until
from tests.tunnel.engines.test_udp import Refusing
from tests.tunnel.packets.flows import train

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

V4, V6 = socket.AF_INET, socket.AF_INET6
HASTY = Timing(rekey_timeout=0.05, jitter=0.001)
"""An initiation is sent again soon: the first of a device just made may come too soon."""


@pytest.mark.parametrize("family", [V4, V6])
async def test_packets_go_both_ways(family: socket.AddressFamily) -> None:
    async with pair(family) as (one, other):
        one.say(other, b"there")
        assert await other.hear() == b"there"
        other.say(one, b"and back")
        assert await one.hear() == b"and back"
        stats = one.engine.stats()[other.public]
        assert stats.endpoint == other.place
        assert abs(stats.last_handshake - time.time()) < 60
        assert stats.received > 0
        assert stats.sent > 0
        assert other.engine.stats()[one.public].endpoint == one.place
        assert one.engine.counters()["handshakes"] == 1


async def test_large_packets_go_as_segments_and_arrive_as_one() -> None:
    payload = os.urandom(20_000)
    whole = virtio.PLAIN
    async with pair(mtu=1280) as (one, other):
        one.say(other, b"first")
        await other.hear()
        for each in train(4, payload, 1240):
            # Their addresses become the test's, which changes nothing else that matters here.
            one.kernel.send(whole + each[:12] + address(1) + address(2) + each[20:])
        loop = asyncio.get_running_loop()
        got = b""
        async with asyncio.timeout(60):
            while len(got) < len(payload):
                frame = await loop.sock_recv(other.kernel, 70_000)
                head = virtio.parse(frame)
                got += frame[10 + (head.heads or 40) :]
        assert got == payload
        assert other.engine.counters()["tun_written"] < 17


async def test_a_peer_that_moves_is_followed() -> None:
    async with pair(timing=HASTY) as (one, other):
        one.say(other, b"1")
        await other.hear()
        before = other.engine.stats()[one.public].endpoint
        await one.engine.close()
        one.sockets.append(udp_socket())
        one.sockets.pop(0).close()
        one.engine = one.make()
        one.engine.put_peer(other.config(endpoint=other.place))
        await one.engine.start()
        one.say(other, b"2")
        assert await other.hear() == b"2"
        assert other.engine.stats()[one.public].endpoint == one.place != before
        assert one.public in other.engine.take_changed()


async def test_changes_are_told_once_until_they_are_taken() -> None:
    async with pair() as (one, other):
        told: list[None] = []
        other.engine.on_change(lambda: told.append(None))
        other.engine.take_changed()
        told.clear()
        one.say(other, b"1")
        await other.hear()
        assert len(told) == 1
        taken = other.engine.take_changed()
        assert taken == {one.public: other.engine.stats()[one.public]}
        assert taken[one.public].endpoint == one.place
        one.say(other, b"2")
        await other.hear()
        assert len(told) == 1
        assert other.engine.take_changed() == {}


async def test_totals_are_those_of_all_peers_but_one() -> None:
    async with pair() as (one, other):
        one.say(other, b"1")
        await other.hear()
        stats = other.engine.stats()[one.public]
        totals = other.engine.totals(stats.last_handshake - 1, b"")
        assert totals == Totals(1, 1, stats.received, stats.sent)
        assert other.engine.totals(stats.last_handshake + 1, b"").live == 0
        assert other.engine.totals(0.0, one.public) == Totals(0, 0, 0, 0)


async def test_a_restart_that_knows_the_place_is_not_noticed() -> None:
    async with pair() as (one, other):
        one.say(other, b"1")
        await other.hear()
        stats = other.engine.stats()[one.public]
        await other.engine.close()
        other.engine = other.make()
        config = one.config(endpoint=stats.endpoint, timestamp=stats.timestamp)
        other.engine.put_peer(config)
        await other.engine.start()
        other.engine.poke(one.public)
        await until(lambda: other.engine.stats()[one.public].last_handshake, "a new session")
        one.say(other, b"2")
        assert await other.hear() == b"2"


async def test_a_restart_pokes_from_the_address_that_a_peer_called() -> None:
    """A NAT on the way lets nothing else in; the other address is what routes would choose."""
    one, other = End(1, timing=HASTY), End(2, timing=HASTY, answers_from=True)
    other.sockets[0].close()
    other.sockets[0] = socket.socket(V4, socket.SOCK_DGRAM)
    other.sockets[0].bind(("0.0.0.0", 0))
    other.engine = other.make()
    called = "127.0.0.3", other.place[1]
    try:
        await one.engine.start()
        await other.engine.start()
        other.engine.put_peer(one.config())
        one.engine.put_peer(other.config(endpoint=called))
        one.say(other, b"1")
        assert await other.hear() == b"1"
        stats = other.engine.stats()[one.public]
        assert stats.own == called[0]
        await other.engine.close()
        other.engine = other.make()
        config = one.config(endpoint=stats.endpoint, timestamp=stats.timestamp, own=stats.own)
        other.engine.put_peer(config)
        await other.engine.start()
        other.engine.poke(one.public)
        await until(lambda: other.engine.stats()[one.public].last_handshake, "a new session")
        assert one.engine.stats()[other.public].endpoint == called
    finally:
        await one.close()
        await other.close()


async def test_peers_come_and_go() -> None:
    async with pair() as (one, other):
        one.say(other, b"1")
        await other.hear()
        other.engine.put_peer(one.config(keepalive=25))  # changed: the session goes on
        one.say(other, b"2")
        assert await other.hear() == b"2"
        assert other.engine.counters()["handshakes"] == 1
        other.engine.remove_peer(one.public)
        other.engine.remove_peer(one.public)
        assert other.engine.stats() == {}
        one.say(other, b"3")
        await until(lambda: other.engine.counters()["unknown_index"], "a packet of nobody")
        other.engine.replace_peers([one.config(endpoint=one.place)])
        other.engine.poke(one.public)
        await until(lambda: one.engine.counters()["handshakes"] == 2, "a new session")
        one.say(other, b"4")
        assert await other.hear() == b"4"


async def test_another_peers_source_address_is_refused() -> None:
    async with pair() as (one, other):
        one.kernel.send(virtio.PLAIN + packet(9, 2, b"forged"))
        one.say(other, b"honest")
        assert await other.hear() == b"honest"
        assert other.engine.counters()["bad_source"] == 1


async def test_keys_rotate_under_way() -> None:
    async with pair(timing=HASTY) as (one, other):
        for number in range(10):
            private, public = keys()
            other.engine.set_private_key(private, [other.private])
            one.engine.change_peer_key(other.public, public)
            other.private, other.public = private, public
            one.say(other, b"%d" % number)
            assert await other.hear() == b"%d" % number
            other.say(one, b"%d" % number)
            assert await one.hear() == b"%d" % number
            await until(partial(_shaken, one, number + 1), "a session with the new key")
        assert list(one.engine.stats()) == [other.public]


def _shaken(end: End, times: int) -> bool:
    return end.engine.counters()["handshakes"] >= times


async def test_a_previous_key_is_taken_and_others_are_not() -> None:
    first, public = keys()
    second, _ = keys()
    for previous, answered in (((first,), True), ((), False)):
        one, other = End(1), End(2)
        other.engine = OwnEngine(
            other.tun.fileno(), other.sockets, private_key=second, previous=previous
        )
        try:
            other.engine.put_peer(one.config())
            one.engine.put_peer(PeerConfig(public, ("10.9.0.2/32",), other.place))
            await one.engine.start()
            await other.engine.start()
            one.say(other, b"hello")
            if answered:
                assert await other.hear() == b"hello"
            else:
                await until(lambda it=other: it.engine.counters()["bad_mac1"], "a refusal")
        finally:
            await one.close()
            await other.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_a_key_that_was_replaced(kept: bool) -> None:
    """Who has not heard of the new one yet may use it only if it is said to be a former one."""
    async with pair() as (one, other):
        other.engine.set_private_key(keys()[0], [other.private] if kept else [])
        one.say(other, b"hello")
        if kept:
            assert await other.hear() == b"hello"
        else:
            await until(lambda: other.engine.counters()["bad_mac1"], "a refusal")
            assert other.engine.counters()["handshakes"] == 0


async def test_bad_settings_change_nothing() -> None:
    async with pair(V4) as (one, other):
        before = one.engine.stats()
        bad = {
            "10.9.0.300/32": {"allowed_ips": ("10.9.0.300/32",)},
            "has host bits": {"allowed_ips": ("10.9.0.3/24",)},
            "no socket for IPv6": {"endpoint": ("::1", 1)},
            "example.com": {"endpoint": ("example.com", 1)},
            "port must be": {"endpoint": ("127.0.0.1", 0)},
            "keepalive": {"keepalive": 65536},
            "preshared key": {"preshared_key": b"short"},
            "timestamp": {"timestamp": b"short"},
        }
        for text, settings in bad.items():
            config = PeerConfig(keys()[1], **settings)  # type: ignore[arg-type]  # of any kind
            with pytest.raises(ConfigurationError, match=text):
                one.engine.put_peer(config)
            with pytest.raises(ConfigurationError, match=text):
                one.engine.replace_peers([config])
        with pytest.raises(ConfigurationError, match="none"):
            one.engine.poke(keys()[1])
        with pytest.raises(ConfigurationError, match="5 bytes"):
            one.engine.set_private_key(b"short")
        with pytest.raises(ConfigurationError, match="5 bytes"):
            one.engine.set_private_key(keys()[0], [one.private, b"short"])
        with pytest.raises(ConfigurationError, match="socket"):
            OwnEngine(one.tun.fileno(), [], private_key=one.private)
        assert one.engine.stats() == before
        one.say(other, b"still")
        assert await other.hear() == b"still"


async def test_timers_run_by_themselves() -> None:
    """A handshake that nobody answers is tried again; a keepalive comes of its own accord."""
    timing = Timing(rekey_timeout=0.05, keepalive_timeout=0.05, jitter=0.001)
    async with pair(timing=timing) as (one, other):
        deaf = udp_socket()
        deaf.setblocking(False)
        with deaf:
            place = deaf.getsockname()
            one.engine.put_peer(PeerConfig(keys()[1], ("10.9.0.3/32",), place))
            one.kernel.send(virtio.PLAIN + packet(1, 3, b"lost"))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(60):
                for _ in range(3):
                    assert len(await loop.sock_recv(deaf, 2000)) == 148
        one.say(other, b"data")
        await other.hear()
        await until(lambda: one.engine.counters()["keepalives_received"], "an answer to data")


@pytest.mark.parametrize("jump", [1000.0, -1000.0])
async def test_clocks_that_jump(jump: float) -> None:
    """After a sleep of the machine sessions are over, and the next packet makes another one."""
    offset = 0.0
    async with pair(clock=lambda: boottime() + offset, timing=HASTY) as (one, other):
        one.say(other, b"before")
        assert await other.hear() == b"before"
        offset = jump
        one.say(other, b"after")
        assert await other.hear() == b"after"
        other.say(one, b"back")
        assert await one.hear() == b"back"
        assert one.engine.counters()["handshakes"] == (2 if jump > 0 else 1)


async def test_a_device_that_is_gone_is_told() -> None:
    async with pair() as (one, _):
        waiting = asyncio.ensure_future(one.engine.failed())  # noqa: TID251  # awaited below
        useless = os.open("/", os.O_PATH)  # reading it fails with EBADF
        os.dup2(useless, one.tun.fileno())
        os.close(useless)
        one.engine._tun_readable()
        assert "TUN device is gone" in await asyncio.wait_for(waiting, 60)


async def test_life() -> None:
    one = End(1)
    with pytest.raises(EngineError, match="does not run"):
        await one.engine.failed()
    await one.engine.start()
    with pytest.raises(EngineError, match="runs already"):
        await one.engine.start()
    waiting = asyncio.ensure_future(one.engine.failed())  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    await one.engine.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await one.engine.close()
    os.fstat(one.tun.fileno())  # descriptors are the caller's
    await one.close()


async def test_who_cannot_pass_packets_on_reads_no_more() -> None:
    """The device is full: datagrams wait in the kernel, and nothing that was read is lost."""
    async with pair() as (one, other):
        one.say(other, b"first")
        await other.hear()
        for number in range(3000):
            try:
                one.say(other, b"%d" % number + bytes(1000))
            except BlockingIOError:
                await asyncio.sleep(0.001)
                one.say(other, b"%d" % number + bytes(1000))
        await until(lambda: other.engine.counters().get("tun_full"), "a full device")
        sent = one.engine.counters()["udp_sent"] - 1
        heard: list[int] = []
        while len(heard) < sent - 1:
            heard.append(int((await other.hear()).rstrip(b"\0")))
            if other.engine.counters().get("tun_dropped"):
                break
        assert heard == sorted(heard)
        assert "tun_dropped" not in other.engine.counters()


class Full(Refusing):
    """Refuses as told, and sends after that."""

    def sendmsg(self, *words: Any) -> None:
        self._next()
        self._real.sendmsg(*words)


async def test_a_full_socket_holds_the_device_up() -> None:
    async with pair() as (one, other):
        one.say(other, b"first")
        await other.hear()
        (port,) = one.engine._ports
        port.socket = full = Full(port.socket, errno.EAGAIN)  # type: ignore[assignment]  # like one
        for number in range(50):
            one.say(other, b"%d" % number)
        assert [int(await other.hear()) for _ in range(50)] == list(range(50))
        port.socket = full._real
        counters = one.engine.counters()
        assert counters["udp_full"] == 1
        assert "udp_dropped" not in counters


async def test_ipv4_through_a_socket_for_both() -> None:
    one, other = End(1), End(2)
    both = socket.socket(V6, socket.SOCK_DGRAM)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    both.bind(("::ffff:127.0.0.1", 0))
    one.sockets.append(both)
    one.sockets.pop(0).close()
    one.engine = one.make()
    try:
        await one.engine.start()
        await other.engine.start()
        other.engine.put_peer(one.config())
        one.engine.put_peer(other.config(endpoint=other.place))
        one.say(other, b"hello")
        assert await other.hear() == b"hello"
        assert one.engine.stats()[other.public].endpoint == other.place
        assert other.engine.stats()[one.public].endpoint == ("127.0.0.1", one.place[1])
    finally:
        await one.close()
        await other.close()


class Flooder:
    """A peer that has a session with an end, without an engine of its own."""

    def __init__(self, number: int, end: End) -> None:
        private, self.public = keys()
        self.number = number
        self.end = end
        self.device = Device(private)
        self.socket = udp_socket()
        peer = DevicePeer(end.public, endpoint=end.place, allowed_ips=(ip_network("10.9.0.0/24"),))
        self.device.add_peer(peer, boottime())
        end.engine.put_peer(PeerConfig(self.public, (f"10.9.0.{number}/32",)))

    def send(self, *payloads: bytes) -> None:
        packets = [packet(self.number, self.end.number, each) for each in payloads]
        self.device.send(packets, boottime())
        for place, datagrams in self.device.drain():
            for each in datagrams:
                self.socket.sendto(each, place)

    async def join(self) -> None:
        self.send(b"joined")
        data = await asyncio.get_running_loop().sock_recv(self.socket, 2000)
        self.device.receive([(data, self.end.place)], boottime())
        self.send()
        assert await self.end.hear() == b"joined"


@asynccontextmanager
async def flooded() -> AsyncIterator[tuple[End, Flooder, Flooder]]:
    """An engine with two peers."""
    end = End(9)
    one, other = Flooder(1, end), Flooder(2, end)
    for each in (one, other):
        each.socket.setblocking(False)
    await end.engine.start()
    try:
        await one.join()
        await other.join()
        yield end, one, other
    finally:
        await end.close()
        one.socket.close()
        other.socket.close()


def held(end: End) -> int:
    """How many small datagrams the end's kernel holds; what does not fit is lost."""
    room = end.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return min(2000, room // 1024)


async def test_who_floods_does_not_make_others_wait() -> None:
    async with flooded() as (end, mallory, ann):
        flood = held(end)
        mallory.send(*[b"flood"] * flood)
        ann.send(b"one")
        before = 0
        while await end.hear() != b"one":
            before += 1
        assert before <= 64 < flood / 2
        for _ in range(flood - before):
            assert await end.hear() == b"flood", "what has room waits and goes on"


async def test_who_floods_loses_what_is_more_than_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("octelium.tunnel.engines.fair.ROOM", 200)
    async with flooded() as (end, mallory, ann):
        mallory.send(*[b"flood"] * held(end))
        ann.send(*[b"ann"] * 60)
        got = [await end.hear() for _ in range(60)]
        while got.count(b"ann") < 60:
            got.append(await end.hear())
        assert end.engine.counters()["peer_over_share"] > 0
        assert got.count(b"flood") < held(end)


async def test_a_full_device_holds_up_turns_and_loses_nothing() -> None:
    async with flooded() as (end, mallory, ann):
        flood = held(end)
        mallory.send(*[b"flood"] * flood)
        ann.send(b"one")
        await until(lambda: end.engine.counters().get("tun_full"), "a full device")
        got = [await end.hear() for _ in range(flood + 1)]
        assert got.count(b"one") == 1
