"""What the sides are tried with, each function in a network of its own: `python -m … NAME`."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.host import HostSide
from octelium.client.tunnel.private import PrivateSide
from octelium.client.tunnel.state import connected
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.link.tun import HEADER
from octelium.tunnel.packets.heads import TCP
from tests.client.tunnel.pieces import state

SERVICE = ("100.64.0.9", 80)
OTHER = [meta.DualStackNetwork(v4="100.65.0.9/32", v6="fdee:1:2:3:1::9/128")]


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    return done.stdout


def syn(descriptor: int) -> bytes:
    """The next packet that begins a TCP connection."""
    os.set_blocking(descriptor, True)
    while True:
        packet = os.read(descriptor, 70_000)[HEADER:]
        if packet[0] >> 4 == 4 and packet[9] == TCP:
            return packet


async def the_host() -> None:
    ip("link", "set", "lo", "up")
    before = (ip("-o", "route", "show", "table", "all"), ip("-o", "link"))
    side = HostSide()
    descriptor = await side.open(connected(state()))
    assert "100.64.0.0/16" in ip("route")
    assert "fdee:1:2:3::/80" in ip("-6", "route")
    assert "100.65.0.7/32" in ip("address", "show", "dev", side.device)
    made = await side.dial("tcp", socket.AF_INET)
    assert made.connect_ex(SERVICE) == 115
    packet = syn(descriptor)
    assert packet[12:16] == socket.inet_aton("100.65.0.7")
    assert packet[16:20] == socket.inet_aton(SERVICE[0])
    made.close()
    await side.put(connected(state(addresses=OTHER)))
    assert "100.65.0.9/32" in ip("address", "show", "dev", side.device)
    assert "100.65.0.7/32" not in ip("address", "show", "dev", side.device)
    for kind in ("tcp", "udp"):
        listening = await side.listen(kind, "100.65.0.9", 20_000)
        found = listening.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert found.rstrip(b"\0").decode() == side.device
        listening.close()
    await side.close()
    assert (ip("-o", "route", "show", "table", "all"), ip("-o", "link")) == before


async def overlaps() -> None:
    ip("link", "add", "other", "type", "bridge")
    ip("link", "set", "other", "up")
    ip("route", "add", "100.64.128.0/17", "dev", "other")
    side = HostSide()
    with pytest.raises(TunnelError, match=r"overlaps with the route 100\.64\.128\.0/17 of other"):
        await side.open(connected(state()))
    assert "octelium" not in ip("link")
    ip("route", "del", "100.64.128.0/17", "dev", "other")
    await side.open(connected(state()))
    ip("route", "add", "100.70.0.0/16", "dev", "other")
    moved = replace(connected(state()), routes=("100.70.0.0/16",))
    with pytest.raises(TunnelError, match="of other"):
        await side.put(moved)
    assert "100.64.0.0/16" in ip("route")
    await side.close()


async def the_lan_stays() -> None:
    """A Cluster has this host be nobody who is in the networks that it is in, nor a way out."""
    ip("link", "add", "lan", "type", "bridge")
    ip("address", "add", "10.9.8.7/24", "dev", "lan")
    ip("address", "add", "fdee:1:2:9::7/64", "dev", "lan", "nodad")
    ip("link", "set", "lan", "up")
    ip("route", "add", "default", "via", "10.9.8.1")
    ip("route", "add", "198.51.100.0/24", "nexthop", "via", "10.1.0.1", "dev", "lan", "onlink")
    cases = (
        ({"v4": "10.9.8.1/32"}, r"be 10\.9\.8\.1/32, which overlaps with the route 10\.9\.8\.0/24"),
        ({"v4": "10.9.8.7/32"}, r"be 10\.9\.8\.7/32, which overlaps with"),
        ({"v6": "fdee:1:2:9::1/128"}, "overlaps with the route fdee:1:2:9::/64 of lan"),
        ({"v4": "10.1.0.1/32"}, r"overlaps with the next hop 10\.1\.0\.1 by lan"),
    )
    side = HostSide()
    before = socket.if_nameindex()  # the state of a bridge changes by itself for a while
    for own, problem in cases:
        asked = connected(state(addresses=[meta.DualStackNetwork(**own)]))
        with pytest.raises(TunnelError, match=problem) as caught:
            await side.open(asked)
        assert "--implementation gvisor" in caught.value.remedy
    hop = state(cidr=meta.DualStackNetwork(v4="10.1.0.0/16"), dns=user.Dns())
    with pytest.raises(TunnelError, match=r"range 10\.1\.0\.0/16 overlaps with the next hop 10\.1"):
        await side.open(connected(hop))
    assert socket.if_nameindex() == before
    await side.open(connected(state()))
    for own, problem in cases:  # nor later
        asked = connected(state(addresses=[meta.DualStackNetwork(**own)]))
        with pytest.raises(TunnelError, match=problem):
            await side.put(asked)
    assert "100.65.0.7/32" in ip("address", "show", "dev", side.device)
    await side.put(connected(state()))
    await side.close()


async def two_clusters() -> None:
    """Neither takes the other's routes away."""
    one, two = HostSide(), HostSide()
    await one.open(connected(state()))
    elsewhere = state(
        cidr=meta.DualStackNetwork(v4="10.9.0.0/16"),
        addresses=[meta.DualStackNetwork(v4="10.10.0.7/32")],
        dns=user.Dns(),
    )
    await two.open(connected(elsewhere))
    await one.put(connected(state(addresses=OTHER)))
    assert all(text in ip("route") for text in ("100.64.0.0/16", "10.9.0.0/16"))
    await one.close()
    assert "10.9.0.0/16" in ip("route")
    await two.close()


async def the_private_one() -> None:
    before = (ip("-o", "route", "show", "table", "all"), ip("-o", "link"))
    side = PrivateSide(serves=True)
    descriptor = await side.open(connected(state()))
    assert (ip("-o", "route", "show", "table", "all"), ip("-o", "link")) == before
    made = await side.dial("tcp", socket.AF_INET)
    assert made.connect_ex(SERVICE) == 115
    assert syn(descriptor)[12:16] == socket.inet_aton("100.65.0.7")
    made.close()
    process = side._process
    assert process is not None
    process.kill()
    process.wait()
    (await side.dial("udp", socket.AF_INET)).close()
    await side.put(connected(state(addresses=OTHER)))
    assert side._process is not process
    listening = await side.listen("tcp", "100.65.0.9", 20_000)
    assert listening.getsockname()[1] == 20_000
    listening.close()
    await side.release("tcp", "100.65.0.9", 20_000)
    await side.close()
    await side.close()
    with pytest.raises(OSError, match="closed"):
        await side.dial("tcp", socket.AF_INET)


async def no_device() -> None:
    """Somebody who may make no device is told so, and what to do instead."""
    for side in (HostSide(), PrivateSide(serves=False)):
        with pytest.raises(TunnelError) as caught:
            await side.open(connected(state()))
        print(caught.value, caught.value.remedy)


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]]())
