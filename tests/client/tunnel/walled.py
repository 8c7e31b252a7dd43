"""What the host's firewall is tried with, each function in a network of its own:
`python -m … NAME`.

The test is the Cluster, and writes whatever packets it likes.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.host import HostSide
from octelium.client.tunnel.state import connected
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.link import nft
from tests.client.tunnel.inside import ip
from tests.client.tunnel.pieces import state
from tests.tunnel.link import packets
from tests.tunnel.link.packets import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.tunnel.link.netlink import Netlink

ENDS = (("100.64.0.9", "100.65.0.7"), ("fdee:1:2:3::9", "fdee:1:2:3:1::7"))
OPEN, SERVED = 5432, 20_000
SYN_ACK = packets.SYN | packets.ACK


def tables() -> list[str]:
    shown = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True)
    return sorted(line.split()[-1] for line in shown.stdout.splitlines())


def answered(wire: Wire, service: str, own: str, *packets_: bytes) -> list[packets.Seen]:
    """What was answered to packets, before what a served port answers to a connection."""
    for each in packets_:
        wire.send(each)
    wire.send(packets.tcp(service, own, ports=(4000, SERVED)))
    before = []
    while (seen := wire.receive()).kind != packets.TCP or seen.ports != (SERVED, 4000):
        if seen.kind != packets.ICMP6 or seen.payload[0] not in (133, 143):  # MLD, and the like
            before.append(seen)
    assert seen.payload[13] == SYN_ACK
    wire.send(packets.tcp(service, own, ports=(4000, SERVED), flags=packets.RST, sequence=2))
    return before


async def what_comes_in() -> None:
    """What is served, and nothing else that listens here."""
    ip("link", "set", "lo", "up")
    everywhere = socket.create_server(("::", OPEN), family=socket.AF_INET6, dualstack_ipv6=True)
    heard = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    heard.bind(("::", OPEN))
    everywhere.setblocking(False)
    side = HostSide()
    wire = Wire(await side.open(connected(state())))
    for service, own in ENDS:
        served = await side.listen("tcp", own, SERVED)
        echo = packets.echo(service, own, 1)
        datagram = packets.udp(service, own, b"x", ports=(4000, OPEN))
        begun = (packets.tcp(service, own, ports=(4000, each)) for each in (OPEN, 22, SERVED + 1))
        acks = packets.tcp(service, own, ports=(4001, OPEN), flags=packets.ACK, acknowledged=1)
        other = packets.udp(service, own, b"x", ports=(4000, SERVED))  # TCP is served there
        assert not answered(wire, service, own, *begun, datagram, echo, acks, other)
        udp = await side.listen("udp", own, SERVED)
        wire.send(packets.udp(service, own, b"question", ports=(4000, SERVED)))
        assert not answered(wire, service, own)
        assert udp.recvfrom(100)[0] == b"question"
        udp.close()
        await side.release("udp", own, SERVED)
        again = await side.listen("udp", own, SERVED + 1)
        wire.send(packets.udp(service, own, b"question", ports=(4000, SERVED)))
        assert not answered(wire, service, own)  # nor that the port is closed
        again.close()
        served.close()
        await side.release("tcp", own, SERVED)
    for nobody in (everywhere.accept, lambda: heard.recv(1)):
        with pytest.raises(BlockingIOError):
            nobody()
    await side.close()
    assert tables() == []
    everywhere.close()
    heard.close()


async def what_is_answered() -> None:
    """Answers come in, and that a port is closed; what is said of others' packets does not."""
    ip("link", "set", "lo", "up")
    side = HostSide()
    wire = Wire(await side.open(connected(state())))
    for service, own in ENDS:
        six = ":" in own
        family = socket.AF_INET6 if six else socket.AF_INET
        made = await side.dial("tcp", family)
        assert made.connect_ex((service, 80)) == errno.EINPROGRESS
        while (seen := wire.receive()).source != own or seen.payload[13] != packets.ACK:
            if seen.source == own and seen.payload[13] == packets.SYN:  # the first, or one more
                number = int.from_bytes(seen.payload[4:8], "big") + 1
                ports = (80, seen.ports[0])
                said = packets.tcp(service, own, ports=ports, flags=SYN_ACK, acknowledged=number)
                wire.send(said)
        made.close()
        asks = await side.dial("udp", family)  # as programs do that never connect
        asks.sendto(b"question", (service, 53))
        while (seen := wire.receive()).kind != packets.UDP:
            pass
        wire.send(packets.udp(service, own, b"other", ports=(54, seen.ports[0])))
        wire.send(packets.udp(service, own, b"answer", ports=(53, seen.ports[0])))
        asks.setblocking(True)
        assert asks.recv(100) == b"answer"
        asks.setblocking(False)
        asks.connect((service, 53))
        asked = packets.udp(own, service, b"question", ports=(seen.ports[0], 53))
        elsewhere = service[:-1] + "8"
        closed, too_big = ((1, 4), (2, 0)) if six else ((3, 3), (3, 4))
        wire.send(packets.about(asked, elsewhere, *closed))
        wire.send(packets.about(asked, service, *too_big, mtu=1280))
        assert asks.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        wire.send(packets.about(asked, service, *closed))
        assert select.select([asks], [], [], 60.0)[0]
        assert asks.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        asks.close()
    assert nft.packets(side.device)["refused"] == 6
    await side.close()


async def no_way_through() -> None:
    """This host is no router for the Cluster, even if it is one for others."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "other", "type", "bridge")
    ip("link", "set", "other", "up")
    ip("address", "add", "10.77.0.1/24", "dev", "other")
    side = HostSide()
    wire = Wire(await side.open(connected(state())))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path(f"/proc/sys/net/ipv4/conf/{side.device}/forwarding").write_text("1")
    wire.send(packets.udp("100.64.0.9", "10.77.0.5", b"x"))
    wire.send(packets.udp("100.64.0.9", "10.77.0.1", b"x"))
    assert {name: nft.packets(side.device)[name] for name in ("forward", "refused")} == {
        "forward": 1,
        "refused": 1,
    }
    await side.close()


async def the_end() -> None:
    """The table ends with whoever made it; what others left is removed, and theirs stays."""
    ip("link", "set", "lo", "up")
    if os.fork() == 0:
        await HostSide().open(connected(state()))
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.wait()[1] == signal.SIGKILL
    assert tables() == []
    ip("link", "add", "octelium-other", "type", "bridge")
    for name in ("octelium-gone", "octelium-other", "theirs"):
        subprocess.run(["nft", "add", "table", "inet", name], check=True)
    side = HostSide()
    await side.open(connected(state()))
    assert tables() == sorted(["octelium-other", "theirs", side.device])
    another = HostSide()
    elsewhere = state(
        cidr=meta.DualStackNetwork(v4="10.9.0.0/16"),
        addresses=[meta.DualStackNetwork(v4="10.10.0.7/32")],
        dns=user.Dns(),
    )
    await another.open(connected(elsewhere))
    subprocess.run(["nft", "flush", "ruleset"], check=True)  # as other firewalls begin
    assert tables() == sorted([side.device, another.device])
    await another.close()
    await side.close()
    await side.close()
    assert tables() == []


async def an_older_kernel() -> None:
    """Without owners of tables it is removed at the end."""
    ip("link", "set", "lo", "up")
    real = nft.replace_table

    def replace(
        table: str,
        chains: Sequence[nft.Chain],
        rules: Sequence[nft.Rule],
        *,
        compares: bool = False,
        owner: Netlink | None = None,
    ) -> None:
        if owner is not None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        real(table, chains, rules, compares=compares)

    with mock.patch.object(nft, "replace_table", replace):
        side = HostSide()
        wire = Wire(await side.open(connected(state())))
        service, own = ENDS[0]
        served = await side.listen("tcp", own, SERVED)
        assert not answered(wire, service, own, packets.tcp(service, own, ports=(4000, OPEN)))
        assert nft.unowned_tables() == {side.device}
        served.close()
        await side.close()
    assert tables() == []


async def no_nftables() -> None:
    """It is said, and the tunnel is there all the same; another refusal is none of that."""
    ip("link", "set", "lo", "up")
    absent = OSError(errno.EPROTONOSUPPORT, "Protocol not supported")
    with mock.patch.object(nft, "unowned_tables", side_effect=absent):
        side = HostSide()
        await side.open(connected(state()))
        (await side.listen("tcp", ENDS[0][1], SERVED)).close()
        await side.release("tcp", ENDS[0][1], SERVED)
        await side.close()
    refused = PermissionError(errno.EPERM, "Operation not permitted")
    with (
        mock.patch.object(nft, "replace_table", side_effect=refused),
        pytest.raises(TunnelError, match="Operation not permitted"),
    ):
        await side.open(connected(state()))
    assert "octelium" not in ip("link")


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]]())
