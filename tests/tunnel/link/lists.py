"""What the list of open places does in a link. Each function runs as its own process; see
`worlds.run`.
"""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from octelium.tunnel.link import firewall, nft
from octelium.tunnel.link.open_places import OpenPlace
from octelium.tunnel.link.plan import FirewallPlan
from tests.tunnel.link import packets
from tests.tunnel.link.packets import Wire
from tests.tunnel.link.scenarios import ENDS, nothing
from tests.tunnel.link.worlds import CLUSTER, SERVICES, SESSIONS, closing, in_loop, link

PLAN = replace(CLUSTER, firewall=FirewallPlan(SESSIONS, SERVICES, listed=True))
OTHERS = ("100.64.0.10", "fdee:1:2:3::10")
RST = 0x04
UNREACHABLE = {4: (3, 3), 6: (1, 4)}


def place(kind: str, address: str, port: int) -> OpenPlace:
    protocol = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}[kind]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return OpenPlace(protocol, socket.inet_pton(family, address), port)


def everywhere(kind: str, port: int, addresses: tuple[str, ...]) -> frozenset[OpenPlace]:
    return frozenset(place(kind, each, port) for each in addresses)


VIPS = tuple(vip for _, vip in ENDS)
FIRST = everywhere("tcp", 443, VIPS) | everywhere("udp", 53, VIPS)


async def begins() -> None:
    """A port of one address is closed at all others, as one where nobody listens."""
    with link(None) as here, closing(here) as sockets:
        await sockets.configure(PLAN, FIRST)
        ours = [await sockets.listen("tcp", family, 443) for family in (2, 10)]
        datagrams = [await sockets.listen("udp", family, 53) for family in (2, 10)]
        wire = Wire(await sockets.tun())

        def reset(peer: str, target: str, port: int = 443) -> bool:
            """Whether a connection is refused; else it is taken."""
            wire.send(packets.tcp(peer, target, ports=(4000, port)))
            heard = wire.until_echo(peer, target)
            # One that is taken is said to be again and again, until it goes on or is given up.
            wire.send(packets.tcp(peer, target, ports=(4000, port), flags=RST, sequence=2))
            ends = {(seen.source, seen.target, seen.ports) for seen in heard}
            assert ends == {(target, peer, (port, 4000))}
            (flags,) = {seen.payload[13] for seen in heard}
            return bool(flags & RST)

        def unreachable(peer: str, target: str, port: int = 53) -> bool:
            wire.send(packets.udp(peer, target, b"x", ports=(4000, port)))
            seen = wire.until_echo(peer, target)
            version = 6 if ":" in peer else 4
            assert all(tuple(each.payload[:2]) == UNREACHABLE[version] for each in seen), seen
            assert all(each.source == target for each in seen), seen
            return bool(seen)

        pairs = list(zip(ENDS, OTHERS, ours, datagrams, strict=True))
        for (peer, vip), other, stream, bound in pairs:
            assert reset(peer, other)
            assert reset(peer, other, 81), "as where nobody listens"
            # The kernel has no source for ICMPv6 where every address is local, and tells nothing.
            told = ":" not in peer
            assert unreachable(peer, other) == unreachable(peer, other, 81) == told
            assert nothing(stream)
            assert nothing(bound)
            assert not reset(peer, vip)
            assert not unreachable(peer, vip)
            assert bound.recv(10) == b"x"
        assert (await sockets.status()).counters["input-closed"] == 6
        # Another Service gets an address of its own and takes the port; the first one moves.
        await sockets.configure(PLAN, everywhere("tcp", 443, OTHERS) | everywhere("udp", 53, VIPS))
        assert (await sockets.status()).counters["input-closed"] == 6, "counted on"
        for (peer, vip), other, _, bound in pairs:
            wire.send(packets.tcp(peer, vip, ports=(4001, 443)))
            refusals = [each for each in wire.until_echo(peer, vip) if each.ports[1] == 4001]
            assert [each.payload[13] & RST for each in refusals] == [RST]
            assert not reset(peer, other)
            assert not unreachable(peer, vip)
            assert bound.recv(10) == b"x"
        here.kill()
        here.process = here.start()
        await sockets.status()
        for (peer, vip), other, _, _ in pairs:
            wire.send(packets.tcp(peer, vip, ports=(4002, 443)))
            refusals = [each for each in wire.until_echo(peer, vip) if each.ports[1] == 4002]
            assert [each.payload[13] & RST for each in refusals] == [RST], "the next one knows it"
            unreachable(peer, other)
            assert all(nothing(bound) for bound in datagrams)


async def answers() -> None:
    """What this side begins is answered, whatever is listed."""
    with link(None) as here, closing(here) as sockets:
        await sockets.configure(PLAN, FIRST)
        wire = Wire(await sockets.tun())
        for family, (peer, vip) in zip((2, 10), ENDS, strict=True):
            made = await sockets.dial("udp", family, vip)
            made.connect((peer, 9))
            made.send(b"question")
            while (asked := wire.receive()).ports[1] != 9:
                pass
            wire.send(packets.udp(peer, vip, b"answer", ports=(9, asked.ports[0])))
            assert not wire.until_echo(peer, vip)
            assert made.recv(10) == b"answer"
            stream = await sockets.dial("tcp", family, vip)
            stream.setblocking(False)
            assert stream.connect_ex((peer, 9)) == errno.EINPROGRESS
            while (asked := wire.receive()).kind != packets.TCP or asked.target != peer:
                pass  # the end of the stream before
            both = packets.SYN | packets.ACK
            sequence = int.from_bytes(asked.payload[4:8], "big") + 1
            reply = packets.tcp(
                peer, vip, ports=(9, asked.ports[0]), flags=both, acknowledged=sequence
            )
            wire.send(reply)
            heard = wire.until_echo(peer, vip)
            seen = [each for each in heard if (each.kind, each.target) == (packets.TCP, peer)]
            assert [each.payload[13] for each in seen] == [packets.ACK]


async def broken() -> None:
    """What somebody else takes away is put back with the next change."""
    with link(None) as here, closing(here) as sockets:
        await sockets.configure(PLAN, FIRST)
        here.namespace.enter()
        nft.delete_table(firewall.TABLE)
        await sockets.configure(PLAN, everywhere("tcp", 443, OTHERS))
        wire = Wire(await sockets.tun())
        for peer, vip in ENDS:
            wire.send(packets.tcp(peer, vip))
            (seen,) = wire.until_echo(peer, vip)
            assert seen.payload[13] & RST
        assert (await sockets.status()).counters["input-closed"] == 2


async def many() -> None:
    """More places than one message, or one transaction, holds."""
    first = int(IPv4Address("100.64.1.0"))
    first6 = int(IPv6Address("fdee:1:2:3::1:0"))
    addresses = [str(IPv4Address(first + each)) for each in range(6000)]
    addresses += [str(IPv6Address(first6 + each)) for each in range(6000)]
    listed = everywhere("tcp", 443, tuple(addresses))
    with link(None) as here, closing(here) as sockets:
        await sockets.configure(PLAN, listed)
        here.namespace.enter()
        wire = Wire(await sockets.tun())
        for peer, vip in (*ENDS, (ENDS[0][0], addresses[0]), (ENDS[1][0], addresses[-1])):
            wire.send(packets.tcp(peer, vip))
            (seen,) = wire.until_echo(peer, vip)
            assert seen.payload[13] & RST, "nobody listens"
        assert (await sockets.status()).counters["input-closed"] == 2
        await sockets.configure(PLAN, FIRST)
        refused = 0
        try:
            nft.change_sets(firewall.TABLE, {"tcp4": [nft.place(bytes(4), 1)]}, {})
        except OSError as error:
            refused = error.errno or 0
        assert refused == errno.ENOENT, "what was not open cannot be shut"


if __name__ == "__main__":
    in_loop(globals()[sys.argv[1]])
