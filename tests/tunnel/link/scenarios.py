"""What happens in links of tests. Each function runs as its own process; see `worlds.run`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from octelium.tunnel.link import protocol, sysctls
from octelium.tunnel.link.plan import FirewallPlan, LinkPlan
from octelium.tunnel.link.sockets import LinkError
from tests.tunnel.link import packets
from tests.tunnel.link.packets import Wire
from tests.tunnel.link.worlds import (
    CLIENT,
    CLUSTER,
    PATIENCE,
    PEER,
    PEER6,
    SERVICES,
    SESSIONS,
    VIP,
    VIP6,
    closing,
    in_loop,
    link,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

SO_COOKIE = 57
FIN = 0x01
UNREACHABLE6 = b"\1"
ENDS = ((PEER, VIP), (PEER6, VIP6))


def cookie(made: socket.socket) -> bytes:
    """What the kernel calls a socket; the same for every descriptor of it."""
    return made.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)


def nothing(made: socket.socket) -> bool:
    """Whether a listening or datagram socket has got nothing."""
    made.setblocking(False)
    try:
        if made.type == socket.SOCK_STREAM:
            made.accept()
        else:
            made.recv(1)
    except BlockingIOError:
        return True
    return False


async def refusal(asked: Awaitable[object]) -> int | None:
    """Why a request was refused."""
    try:
        await asked
    except LinkError as error:
        return error.errno
    raise AssertionError("not refused")


async def works() -> None:
    """A client's packets reach a Service's socket, and its answer comes back."""
    with link(CLUSTER) as here, closing(here) as sockets:
        listening = [await sockets.listen("tcp", family, 443) for family in (2, 10)]
        datagrams = [await sockets.listen("udp", family, 53) for family in (2, 10)]
        wire = Wire(await sockets.tun())
        for made, bound, (peer, vip) in zip(listening, datagrams, ENDS, strict=True):
            wire.send(packets.tcp(peer, vip))
            while (answer := wire.receive()).target != peer:
                assert answer.payload[13] & FIN  # of the connection before
            assert (answer.source, answer.ports) == (vip, (443, 4000)), answer
            assert answer.payload[13] == packets.SYN | packets.ACK
            theirs = struct.unpack_from("!I", answer.payload, 4)[0]
            wire.send(
                packets.tcp(peer, vip, flags=packets.ACK, sequence=2, acknowledged=theirs + 1)
            )
            accepted, address = made.accept()
            with accepted:
                assert address[:2] == (peer, 4000)
                assert accepted.getsockname()[:2] == (vip, 443)
            wire.send(packets.udp(peer, vip, b"question"))
            data, ancillary, _, address = bound.recvmsg(100, 100)
            assert (data, address[:2]) == (b"question", (peer, 4000))
            assert socket.inet_pton(bound.family, vip) in ancillary[0][2]
        state = Path(f"/proc/{here.process.pid}/status").read_text()
        (line,) = (line for line in state.splitlines() if line.startswith("CapEff:"))
        assert int(line.split()[1], 16) == 1 << 12, line  # CAP_NET_ADMIN
        assert "NoNewPrivs:\t1" in state
        status = await sockets.status()
        assert status.plan == CLUSTER
        assert status.unset == (), status.unset
        assert status.listeners == 4
        print(status.firewall)


async def walls(plan: LinkPlan = CLUSTER) -> None:
    """Nothing gets in or out but what the plan says."""
    with link(plan) as here, closing(here) as sockets:
        ours = [await sockets.listen("tcp", family, 443) for family in (2, 10)]
        datagrams = [await sockets.listen("udp", family, 53) for family in (2, 10)]
        hosts = []  # daemons of the host that listen on every address
        for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            hosts.append(socket.create_server((everywhere, 0), family=family))
            hosts.append(socket.socket(family, socket.SOCK_DGRAM))
            hosts[-1].bind((everywhere, 0))
        ports = {made.type: made.getsockname()[1] for made in hosts}
        # Routes alone do not look at IPv6 sources, and take what is for everybody.
        inside = (*ours, *datagrams) if plan.firewall is not None else (ours[0], datagrams[0])
        wire = Wire(await sockets.tun())
        sent = 0

        def refused(packet: bytes, what: str) -> None:
            nonlocal sent
            sent += 1
            wire.send(packet)
            for peer, vip in ENDS:
                seen = wire.until_echo(peer, vip)
                if plan.firewall is None:  # the sender may be told that there is no route
                    seen = [each for each in seen if each.payload[:1] != UNREACHABLE6]
                assert not seen, f"{what}: {seen}"
            assert all(nothing(made) for made in hosts), f"{what}: reached a daemon of the host"
            assert all(nothing(made) for made in inside), f"{what}: got in"

        def both(source: str, target: str, what: str) -> None:
            refused(packets.tcp(source, target), f"TCP from {source} to {target}, {what}")
            refused(packets.udp(source, target, b"x"), f"UDP from {source} to {target}, {what}")

        for forged in ("8.8.8.8", "10.0.0.1", "127.0.0.1", "100.64.0.1", VIP, "100.66.0.1"):
            both(forged, VIP, "forged source")
        for forged in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "169.254.169.254"):
            both(forged, VIP, "impossible source")
        if plan.firewall is not None:
            for forged in (
                "2001:db8::1",
                "::1",
                "fe80::1",
                "::",
                "ff02::1",
                VIP6,
                "fdee:1:2:3:2::1",
            ):
                both(forged, VIP6, "forged source")
        others = ["1.1.1.1", "100.65.0.8", "100.66.0.1", "127.0.0.1"]
        if plan.firewall is not None:
            others += ["255.255.255.255", "224.0.0.1"]
        others += ["0.0.0.0", PEER, "169.254.169.254", *own_addresses()]
        for target in others:
            both(PEER, target, "other destination")
            for kind, port in ports.items():
                numbers = (4000, port)
                if kind == socket.SOCK_STREAM:
                    refused(packets.tcp(PEER, target, ports=numbers), f"daemon at {target}")
                else:
                    refused(packets.udp(PEER, target, b"x", ports=numbers), f"daemon at {target}")
        for target in ("2001:db8::1", "::1", "fe80::1", "ff02::1", PEER6, "fdee:1:2:3:1::8"):
            both(PEER6, target, "other destination")
        if plan.firewall is not None:
            protocols(refused)
            counters = (await sockets.status()).counters
            assert counters["input-dropped"] > 0
            assert counters["input-icmp"] == 2 * sent, counters  # the pings alone
            assert counters["input-tcp"] == counters["input-udp"] == 0, counters
        for made in hosts:
            made.close()


async def walls_of_routes() -> None:
    """Without nftables, forged IPv4 sources and other destinations still get nowhere."""
    await walls(LinkPlan(1280, SERVICES, SESSIONS))


def protocols(refused: object) -> None:
    """Protocols that Services do not have, and heads that lead elsewhere."""
    assert callable(refused)
    for number in (2, 4, 41, 47, 50, 51, 89, 103, 132, 136, 255):
        refused(packets.ip(PEER, VIP, number, bytes(24)), f"protocol {number}")
        if number not in (50, 51):
            refused(packets.ip(PEER6, VIP6, number, bytes(24)), f"protocol {number} of IPv6")
    for kind in (5, 9, 10, 13, 15, 17):
        refused(packets.icmp(PEER, VIP, kind), f"ICMP {kind}")
    for kind in (130, 133, 134, 135, 136, 137, 139):
        refused(packets.icmp(PEER6, VIP6, kind, rest=bytes(20)), f"ICMPv6 {kind}")
    loose = bytes([131, 7, 4]) + socket.inet_aton("100.64.0.1") + b"\0"
    refused(packets.tcp(PEER, VIP, options=loose), "source route")
    # Type 0 with one segment left: deprecated by RFC 5095.
    route = bytes([2, 0, 1]) + bytes(4) + socket.inet_pton(socket.AF_INET6, "fdee:1:2:3::1")
    refused(packets.tcp(PEER6, VIP6, options=route), "routing header")


def own_addresses() -> list[str]:
    """The IPv4 addresses of the host."""
    infos = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    return sorted({str(info[4][0]) for info in infos})


def unexpected(wire: Wire, peer: str, vip: str) -> list[packets.Seen]:
    """What came out until now, besides that the kernel waited in vain for the rest of fragments,
    which it may tell after 5 s (RFC 792, RFC 4443 section 3.3).
    """
    late = (packets.ICMP, 11), (packets.ICMP6, 3)
    return [seen for seen in wire.until_echo(peer, vip) if (seen.kind, seen.payload[0]) not in late]


async def fragments() -> None:
    """Whole ones are put together; overlapping, oversized and missing ones come to nothing."""
    with link(CLUSTER) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        for family, (peer, vip) in zip((2, 10), ENDS, strict=True):
            bound = await sockets.listen("udp", family, 53)
            whole = packets.udp_payload(peer, vip, bytes(range(240)), (4000, 53))

            def piece(
                start: int,
                end: int,
                number: int,
                peer: str = peer,
                vip: str = vip,
                w: bytes = whole,
            ) -> bytes:
                return packets.ip(
                    peer,
                    vip,
                    packets.UDP,
                    w[start:end],
                    offset=start,
                    more=end < len(w),
                    identification=number,
                )

            wire.send(piece(0, 120, 1))
            wire.send(piece(120, 248, 1))
            assert bound.recv(1000) == bytes(range(240))
            for number, (first, *rest) in enumerate(
                (
                    ((0, 128), (120, 248)),  # eight bytes twice
                    ((120, 248), (0, 128)),
                    ((0, 64), (128, 192), (56, 136), (192, 248)),
                    ((0, 120), (128, 248)),  # a hole
                    ((120, 248),),  # no head
                ),
                2,
            ):
                for start, end in (first, *rest):
                    wire.send(piece(start, end, number))
                assert not unexpected(wire, peer, vip), (family, number)
                assert nothing(bound), (family, number)
            # One within another is left out; nothing of it is in the datagram.
            wire.send(piece(0, 120, 20))
            wire.send(piece(64, 120, 20, w=bytes(248)))
            wire.send(piece(120, 248, 20))
            assert not unexpected(wire, peer, vip)
            bound.setblocking(False)
            assert bound.recv(1000) == bytes(range(240))
            wire.send(packets.ip(peer, vip, packets.UDP, whole[:120], more=True))
            wire.send(packets.ip(peer, vip, packets.UDP, bytes(600), offset=65528))
            # A parameter problem may be told (RFC 8200 section 4.5), to the sender alone.
            assert all(seen.target == peer for seen in unexpected(wire, peer, vip))
            assert nothing(bound)
        assert (await sockets.status()).counters["fragments"] > 20


async def fragment_flood() -> None:
    """First fragments without an end take bounded memory, and others' datagrams still arrive."""
    with link(CLUSTER) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        bound = await sockets.listen("udp", socket.AF_INET, 53)
        for number in range(5000):
            wire.send(
                packets.ip(
                    PEER, VIP, packets.UDP, bytes(1200), more=True, identification=number & 0xFFFF
                )
            )
        assert not unexpected(wire, PEER, VIP)
        wire.send(packets.udp(PEER, VIP, b"after"))
        assert bound.recv(100) == b"after"
        here.namespace.enter()
        (line,) = (
            line for line in Path("/proc/net/sockstat").read_text().splitlines() if "FRAG" in line
        )
        assert int(line.split()[-1]) <= (1 << 20) + 4096, line


async def replaced() -> None:
    """The link process is killed: sockets, device, addresses and routes stay, and go on."""
    with link(CLUSTER) as here, closing(here) as worker, closing(here) as other:
        listening = await worker.listen("tcp", socket.AF_INET, 443)
        datagrams = await worker.listen("udp", socket.AF_INET6, 53)
        assert cookie(await other.listen("tcp", socket.AF_INET, 443)) == cookie(listening)
        wire = Wire(await worker.tun())
        here.kill()
        wire.send(packets.tcp(PEER, VIP))
        assert wire.receive().payload[13] == packets.SYN | packets.ACK
        waiting = asyncio.gather(
            worker.status(), other.dial("tcp", socket.AF_INET, VIP), worker.dial("udp", 10)
        )
        began = time.monotonic()
        here.process = here.start()
        _, dialling, _ = await waiting
        print(f"answers {time.monotonic() - began:.3f} s after the start")
        with closing(here) as late:  # a worker that comes after the killing
            assert cookie(await late.listen("tcp", socket.AF_INET, 443)) == cookie(listening)
            assert cookie(await late.listen("udp", socket.AF_INET6, 53)) == cookie(datagrams)
        assert not [seen for seen in wire.until_echo(PEER, VIP) if seen.kind != packets.TCP]
        os.close(wire.descriptor)
        wire = Wire(await other.tun())  # the device outlived its opener too
        assert not [seen for seen in wire.until_echo(PEER6, VIP6) if seen.kind != packets.TCP]
        dialling.setblocking(False)
        assert dialling.connect_ex((PEER, 9)) == errno.EINPROGRESS
        while (seen := wire.receive()).ports[1] != 9:
            pass
        assert (seen.source, seen.target) == (VIP, PEER)
        assert (await worker.status()).listeners == 2


async def flows() -> None:
    """A UDP flow gets its own datagrams, all others stay with the listening socket."""
    with link(CLUSTER) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        for family, (peer, vip) in zip((2, 10), ENDS, strict=True):
            listening = await sockets.listen("udp", family, 53)
            flow = await sockets.flow((vip, 53), (peer, 4000))
            second = await sockets.flow((vip, 53), (peer, 4001))
            wire.send(packets.udp(peer, vip, b"one", ports=(4000, 53)))
            wire.send(packets.udp(peer, vip, b"two", ports=(4001, 53)))
            wire.send(packets.udp(peer, vip, b"three", ports=(4002, 53)))
            assert not wire.until_echo(peer, vip)
            assert flow.recv(10) == b"one"
            assert second.recv(10) == b"two"
            assert listening.recv(10) == b"three"
            assert all(nothing(made) for made in (flow, second, listening))
            flow.send(b"answer")
            seen = wire.receive()
            assert (seen.source, seen.target, seen.ports) == (vip, peer, (53, 4000))
            flow.close()
            second.close()


async def dedicated() -> None:
    """Datagrams of others that come while a flow's socket is made are not in it."""
    with link(CLUSTER) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        await sockets.listen("udp", socket.AF_INET, 53)
        stop = False

        def flood() -> None:
            while not stop:
                wire.send(packets.udp(PEER, VIP, b"another's", ports=(5000, 53)))

        flooding = asyncio.get_running_loop().run_in_executor(None, flood)
        try:
            for number in range(60):
                with await sockets.flow((VIP, 53), (PEER, 6000 + number)) as flow:
                    await asyncio.sleep(0)
                    assert nothing(flow), number
        finally:
            stop = True
            await flooding


def begun(wire: Wire, peer: str, vip: str) -> set[tuple[str, str, int]]:
    """From where to which address and port connections were begun, however often that was said."""
    return {(seen.source, seen.target, seen.ports[1]) for seen in wire.until_echo(peer, vip)}


async def dialling() -> None:
    """Sockets dial from a Service's address, and only to Sessions."""
    with link(CLUSTER) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        for family, (peer, vip) in zip((2, 10), ENDS, strict=True):
            made = await sockets.dial("tcp", family, vip)
            assert made.connect_ex((peer, 8080)) == errno.EINPROGRESS
            made.close()
            assert begun(wire, peer, vip) == {(vip, peer, 8080)}
        made = await sockets.dial("tcp", socket.AF_INET, VIP)
        assert made.connect_ex((PEER, 8080)) == errno.EINPROGRESS
        port = made.getsockname()[1]
        # It is for Services all the same.
        (await sockets.listen("tcp", socket.AF_INET, port)).close()
        made.close()
        assert begun(wire, PEER, VIP) == {(VIP, PEER, 8080)}
        for target in ("1.1.1.1", "127.0.0.1", VIP, "100.66.0.1", *own_addresses()):
            made = await sockets.dial("tcp", socket.AF_INET, VIP)
            result = made.connect_ex((target, 9))
            assert result in (errno.ENETUNREACH, errno.EINPROGRESS, errno.EPERM, errno.EINVAL), (
                target,
                errno.errorcode[result],
            )
            assert not wire.until_echo(PEER, VIP), target
            made.close()


async def errors() -> None:
    """Who tells of an error is believed if it is about a UDP port of its own, and nobody else."""
    others = ("100.65.0.8", "fdee:1:2:3:1::8")
    with link(replace(CLUSTER, mtu=1400)) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        for family, (peer, vip), other in zip((2, 10), ENDS, others, strict=True):
            six = family == socket.AF_INET6
            closed = (1, 4) if six else (3, 3)
            made = await sockets.dial("udp", family, vip)
            made.connect((peer, 9))
            made.send(b"question")
            while (seen := wire.receive()).kind != packets.UDP:
                pass
            asked = packets.ip(vip, peer, packets.UDP, seen.payload)
            by_way = packets.ip(vip, other, 43, way(PEER6, seen.payload))
            for told in (
                packets.about(asked, other, *closed),
                packets.about(asked, other, closed[0], 0),
                packets.about(asked, other, *((2, 0) if six else (3, 4)), mtu=1280),
                packets.about(asked, peer, *((2, 0) if six else (3, 4)), mtu=1280),
                packets.about(asked, peer, *((3, 0) if six else (11, 0))),
                packets.about(asked, peer, *((4, 0) if six else (12, 0))),
                packets.about(asked, peer, *closed, size=30 if six else 18),  # of whom?
                *([packets.about(by_way, other, *closed)] if six else []),
                *(packets.about(packets.tcp(vip, each), each, *closed) for each in (peer, other)),
            ):
                wire.send(told)
                assert not wire.until_echo(peer, vip)
                assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, told
            assert nothing(made)
            wire.send(packets.about(asked, peer, *closed))
            assert not wire.until_echo(peer, vip)
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
            assert path_mtu(made) == 1400
            made.close()


async def path_mtu_alone() -> None:
    """Without nftables nobody makes the MTU of the way less than 1280, either."""
    with (
        link(LinkPlan(1400, SERVICES, SESSIONS)) as here,
        closing(here) as sockets,
    ):
        wire = Wire(await sockets.tun())
        for family, (peer, vip) in zip((2, 10), ENDS, strict=True):
            made = await sockets.dial("udp", family, vip)
            made.connect((peer, 9))
            asked = packets.udp(vip, peer, bytes(1300), ports=(made.getsockname()[1], 9))
            wire.send(packets.about(asked, peer, *((2, 0) if family == 10 else (3, 4)), mtu=1280))
            wire.until_echo(peer, vip)
            # In IPv6 a route's lock does not count, but 1280 is the least (RFC 8200 section 5).
            assert path_mtu(made) == (1280 if family == socket.AF_INET6 else 1400)
            made.close()


def path_mtu(made: socket.socket) -> int:
    """What the kernel thinks of a connected socket's way (IP_MTU, IPV6_MTU)."""
    if made.family == socket.AF_INET6:
        return made.getsockopt(socket.IPPROTO_IPV6, 24)
    return made.getsockopt(socket.IPPROTO_IP, 14)


def way(target: str, payload: bytes) -> bytes:
    """A segment routing header that ends at `target` (RFC 8754 section 2), and what follows it."""
    head = bytes([packets.UDP, 2, 4, 0, 0, 0, 0, 0])
    return head + socket.inet_pton(socket.AF_INET6, target) + payload


async def client() -> None:
    """A client's side: an address of its own, out to Services, and nothing begun from there."""
    with link(CLIENT) as here, closing(here) as sockets:
        wire = Wire(await sockets.tun())
        for family, (peer, vip) in zip((2, 10), ENDS, strict=True):
            listening = await sockets.listen("tcp", family, 443)
            made = await sockets.dial("tcp", family)
            assert made.connect_ex((vip, 80)) == errno.EINPROGRESS
            made.close()
            assert begun(wire, vip, peer) == {(peer, vip, 80)}
            wire.send(packets.tcp(vip, peer))
            assert not wire.until_echo(vip, peer)
            assert nothing(listening)
        # A SYN whose flags are in the second fragment.
        syn = packets.tcp(VIP6, PEER6)[40:]
        for start, end in ((0, 8), (8, 20)):
            wire.send(
                packets.ip(
                    VIP6, PEER6, packets.TCP, syn[start:end], offset=start, more=end < len(syn)
                )
            )
        assert not wire.until_echo(VIP6, PEER6)
        counters = (await sockets.status()).counters
        # A busy kernel may drop packets before anybody looks at them.
        assert 1 <= counters["input-refused"] <= 4, counters
        serving = LinkPlan(
            1280,
            (),
            SERVICES,
            CLIENT.tun_addresses,
            FirewallPlan(SERVICES, CLIENT.tun_addresses, incoming=True),
        )
        await sockets.configure(serving)
        wire.send(packets.tcp(VIP, PEER))
        assert wire.receive().payload[13] == packets.SYN | packets.ACK


async def plans() -> None:
    """Requests wait for a plan; a new one replaces the old without touching what stays."""
    with link(None) as here, closing(here) as gateway, closing(here) as worker:
        waiting = asyncio.ensure_future(worker.listen("tcp", socket.AF_INET, 443))  # noqa: TID251
        assert (await worker.status()).plan is None
        assert not waiting.done()
        await gateway.configure(CLUSTER)
        listening = await waiting
        wire = Wire(await gateway.tun())
        assert not wire.until_echo(PEER, VIP)
        moved = LinkPlan(
            1400,
            ("100.64.0.0/16",),
            ("100.65.0.0/16", "100.66.0.0/16"),
            (),
            FirewallPlan(("100.65.0.0/16", "100.66.0.0/16"), ("100.64.0.0/16",)),
        )
        await gateway.configure(moved)
        assert not wire.until_echo("100.66.0.1", VIP)
        wire.send(packets.tcp(PEER6, VIP6))
        assert not wire.until_echo(PEER, VIP)
        wire.send(packets.tcp(PEER, VIP))
        assert wire.receive().payload[13] == packets.SYN | packets.ACK
        assert nothing(listening)
        wire.send(packets.tcp(PEER, VIP, flags=packets.RST, sequence=2))  # or it is said again
        assert await refusal(gateway.configure(LinkPlan(1400, device="other"))) == errno.EINVAL
        impossible = LinkPlan(1400, tun_addresses=("ff02::1/128",))
        assert await refusal(gateway.configure(impossible)) == errno.EADDRNOTAVAIL
        assert (await worker.status()).plan == moved
        assert not wire.until_echo(PEER, VIP)  # the one before is in force again
        here.restart()  # it is told the plan again
        assert (await gateway.status()).plan == moved
        assert (await worker.status()).plan == moved


async def exclusive() -> None:
    """One process has the device; the next waits for it, for a limited time."""
    with link(CLUSTER) as here, closing(here) as first, closing(here) as second:
        held = await first.tun()
        second.patience = 0.3
        assert await refusal(second.tun()) == errno.ETIMEDOUT
        second.patience = PATIENCE
        waiting = asyncio.ensure_future(second.tun())  # noqa: TID251
        await second.status()
        os.close(held)
        os.close(await waiting)


async def many() -> None:
    """A thousand sockets, which are asked for many at a time."""
    with link(CLUSTER) as here, closing(here) as sockets:
        (await sockets.dial("tcp", socket.AF_INET)).close()
        before, began = sockets._number, time.perf_counter()
        made = [await sockets.dial("tcp", socket.AF_INET, VIP) for _ in range(1000)]
        each = (time.perf_counter() - began) / 1000
        assert sockets._number - before <= 1000 // 8
        assert len({cookie(one) for one in made}) == 1000
        for one in made:
            one.close()
        began = time.perf_counter()
        ports = [await sockets.listen("tcp", socket.AF_INET, 1 + n) for n in range(200)]
        listen = (time.perf_counter() - began) / 200
        for one in ports:
            one.close()
        print(f"dial {each * 1e6:.0f} us, listen {listen * 1e6:.0f} us")


async def adopted() -> None:
    """Only listening sockets of the namespace are taken back."""
    with link(CLUSTER) as here, closing(here) as sockets:
        assert (await sockets.status()).listeners == 0
        foreign = socket.create_server(("0.0.0.0", 0))
        unbound = await sockets.dial("tcp", socket.AF_INET)
        bound = await sockets.dial("tcp", socket.AF_INET, VIP)
        bound.listen()
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(60)
        channel.connect(str(here.path))

        def offer(descriptor: int, port: int) -> protocol.Reply:
            request = protocol.Request(1, "adopt", port=port)
            socket.send_fds(channel, [request.encode()], [descriptor])
            return protocol.Reply.decode(protocol.receive(channel)[0])

        for given, port, why in (
            (foreign.fileno(), foreign.getsockname()[1], "network namespace"),
            (unbound.fileno(), 443, "does not listen"),
            (bound.fileno(), bound.getsockname()[1], "another address or port"),
            (1, 443, "not a socket"),
        ):
            reply = offer(given, port)
            assert why in reply.error, reply
        assert (await sockets.status()).listeners == 0
        listening = await sockets.listen("tcp", socket.AF_INET, 443)
        assert offer(listening.fileno(), 443).error == ""
        # Two have it now; it is closed with the last.
        await sockets.release("tcp", socket.AF_INET, 443)
        assert (await sockets.status()).listeners == 1
        channel.send(protocol.Request(2, "release", port=443).encode())
        assert protocol.Reply.decode(channel.recv(1000)).error == ""
        assert (await sockets.status()).listeners == 0
        for made in (foreign, unbound, bound, listening, channel):
            made.close()


async def nonsense() -> None:
    """Who does not keep to the protocol is hung up on; others are served all the while."""
    good = protocol.Request(1, "status").encode()
    with link(CLUSTER) as here, closing(here) as sockets:
        await sockets.status()
        for wrong in (
            b"\xff",
            b"[]",
            b"{}",
            b"[" * 16000,
            good + b" " * protocol.LONGEST,
            b'{"number": 1, "do": "exec"}',
            b'{"number": 1, "do": "listen", "kind": "tcp", "family": 4, "port": 0}',
            b'{"number": 1, "do": "sockets", "kind": "raw", "family": 4, "count": 1}',
            b'{"number": 1, "do": "sockets", "kind": "tcp", "family": 1, "count": 1}',
            b'{"number": 1, "do": "sockets", "kind": "tcp", "family": 4, "count": 10000}',
        ):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
                channel.settimeout(60)
                channel.connect(str(here.path))
                channel.send(wrong)
                assert channel.recv(10) == b"", wrong
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
            channel.settimeout(60)
            channel.connect(str(here.path))
            socket.send_fds(channel, [good], [0, 1, 2])
            assert channel.recv(10) == b""
        folder = Path(f"/proc/{here.process.pid}/fd")
        files = len(list(folder.iterdir()))
        for _ in range(300):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
                channel.connect(str(here.path))
                channel.send(protocol.Request(1, "sockets", count=64).encode())
        deadline = time.monotonic() + 60
        while len(list(folder.iterdir())) > files:
            assert time.monotonic() < deadline, "descriptors stay open"
            await sockets.status()
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        deaf.connect(str(here.path))
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while True:  # asks and never listens, until it is hung up on
                deaf.send(protocol.Request(1, "sockets", count=64).encode())
        await sockets.status()
        deaf.close()


def settings() -> None:
    """The namespace's settings hold, and the host's are as they were."""
    from octelium.tunnel.link import namespace

    made = namespace.make()
    names = ("ip_forward", "ip_unprivileged_port_start", "conf/default/rp_filter", "ipfrag_time")
    files = [Path("/proc/sys/net/ipv4", name) for name in names]
    before = [file.read_text() for file in files]
    if os.fork() == 0:
        made.enter()
        files[0].write_text("1")  # as a new namespace gets it from some hosts
        assert sysctls.apply() == ()
        assert [file.read_text().strip() for file in files] == ["0", "0", "1", "5"]
        assert sysctls.apply_to("lo") == ()
        assert "ipv4.conf.nothing.rp_filter" in " ".join(sysctls.apply_to("nothing"))
        os._exit(0)
    assert os.wait()[1] == 0
    assert [file.read_text() for file in files] == before


if __name__ == "__main__":
    in_loop(globals()[sys.argv[1]])
