"""What somebody else does to a device, and what becomes of it. Each function runs as its own
process; see `worlds.run`.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

from octelium.tunnel.link import addresses, tun
from octelium.tunnel.link.link_events import LinkEvent, LinkEvents
from octelium.tunnel.link.netlink import ROUTE, Message, Netlink
from octelium.tunnel.link.plan import DEVICE
from tests.tunnel.link import packets
from tests.tunnel.link.packets import Wire
from tests.tunnel.link.scenarios import ENDS
from tests.tunnel.link.worlds import CLUSTER, PATIENCE, closing, in_loop, link

if TYPE_CHECKING:
    from collections.abc import Callable

_NEWLINK, _IFF_UP = 16, 1


def set_down(device: str) -> None:
    head = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(device), 0, _IFF_UP)
    with Netlink(ROUTE) as netlink:
        netlink.ask(Message(_NEWLINK, head))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


async def restored() -> None:
    """A device that was set down is up again, and so is all that went with it."""
    with link(CLUSTER) as here, closing(here) as sockets:
        for family in (2, 10):
            await sockets.listen("tcp", family, 443)
        wire = Wire(await sockets.tun())
        here.namespace.enter()
        whole = addresses.routes()
        for number in range(3):
            set_down(DEVICE)
            until(lambda: tun.is_up(DEVICE) and addresses.routes() == whole)
            for peer, vip in ENDS:
                wire.send(packets.tcp(peer, vip, ports=(4000 + number, 443)))
                while (seen := wire.receive()).ports != (443, 4000 + number):
                    pass
                assert seen.payload[13] == packets.SYN | packets.ACK
        set_down(DEVICE)
        addresses.set_up(DEVICE)  # and whoever did so thinks better of it
        until(lambda: addresses.routes() == whole)
        events = LinkEvents()
        addresses.set_up(DEVICE, 1400)
        index = socket.if_nametoindex(DEVICE)
        heard: list[LinkEvent] = []

        def last() -> bool:
            heard.extend([found[index]] if (found := events.take()) else [])
            return bool(heard) and heard[-1] == LinkEvent(True, 1280)

        until(last)
        events.close()
        assert len(addresses.routes()) == len(whole)


async def elsewhere() -> None:
    """Of other links nothing is said or done."""
    with link(CLUSTER) as here, closing(here) as sockets:
        await sockets.status()
        here.namespace.enter()
        events = LinkEvents()
        assert events.take() == {}
        set_down("lo")
        heard = events.take()
        assert heard is not None
        assert heard[socket.if_nametoindex("lo")].is_up is False
        await sockets.status()
        assert not tun.is_up("lo")
        events.close()


if __name__ == "__main__":
    in_loop(globals()[sys.argv[1]])
