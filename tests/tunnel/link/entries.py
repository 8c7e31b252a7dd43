"""Who comes by a door of a link process, and what for. Each function runs as its own process; see
`worlds.run`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from octelium.tunnel.link import doors, helper, namespace
from octelium.tunnel.link.doors import ROLES, Door
from octelium.tunnel.link.plan import LinkPlan
from octelium.tunnel.link.sockets import LinkSockets
from tests.tunnel.link.scenarios import cookie, refusal
from tests.tunnel.link.worlds import CLUSTER, PATIENCE, VIP, in_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.tunnel.link.namespace import PrivateNamespace


class Link:
    """A link process that has doors."""

    def __init__(self, place: PrivateNamespace) -> None:
        self.place = place
        self.doors: dict[str, Door] = {role: doors.make(role) for role in ROLES}
        self.process = 0

    def start(self, plan: LinkPlan | None) -> None:
        parent = os.getpid()
        self.process = os.fork()
        if not self.process:
            inner = {role: door.inner for role, door in self.doors.items()}
            try:
                helper.run(None, self.place, parent=parent, plan=plan, doors=inner)
            finally:
                os._exit(1)

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


@contextmanager
def link() -> Iterator[Link]:
    place = namespace.make()
    made = Link(place)
    made.start(CLUSTER)
    try:
        yield made
    finally:
        made.kill()
        for door in made.doors.values():
            door.close()
        place.close()


@contextmanager
def entered(made: Link, role: str) -> Iterator[LinkSockets]:
    sockets = LinkSockets(made.doors[role].outer, patience=PATIENCE)
    try:
        yield sockets
    finally:
        sockets.close()


async def roles() -> None:
    """Each role has what it needs, and nothing else."""
    with (
        link() as made,
        entered(made, "control") as control,
        entered(made, "gateway") as gateway,
        entered(made, "worker") as worker,
    ):
        other = LinkPlan(1300)
        for one in (gateway, worker):
            assert await refusal(one.configure(other)) == errno.EPERM
            assert (await one.status()).plan == CLUSTER, "a compromised one changes nothing"
        for one in (control, worker):
            assert await refusal(one.tun()) == errno.EPERM
        os.close(await gateway.tun())
        for one in (control, gateway):
            assert await refusal(one.listen("tcp", socket.AF_INET, 80)) == errno.EPERM
            assert await refusal(one.dial("tcp", socket.AF_INET, VIP)) == errno.EPERM
        assert await refusal(control.dial("udp", socket.AF_INET, VIP)) == errno.EPERM
        (await gateway.dial("udp", socket.AF_INET, VIP)).close()
        for kind in ("tcp", "udp"):
            (await worker.dial(kind, socket.AF_INET, VIP)).close()
            (await worker.listen(kind, socket.AF_INET, 80)).close()
        await worker.release("tcp", socket.AF_INET, 80)
        await control.configure(other)
        assert (await worker.status()).plan == other
        await gateway.configured(other)


async def replaced() -> None:
    """Who comes while there is no link process is served by the next one."""
    with link() as made, entered(made, "worker") as worker, entered(made, "control") as control:
        await control.configure(CLUSTER)
        listening = await worker.listen("tcp", socket.AF_INET, 80)
        made.kill()
        with entered(made, "worker") as late:
            waiting = asyncio.gather(late.status(), worker.dial("tcp", socket.AF_INET, VIP))
            await asyncio.sleep(0)
            made.start(None)
            status, dialled = await waiting
            dialled.close()
            await control.configured(CLUSTER)
            assert cookie(await late.listen("tcp", socket.AF_INET, 80)) == cookie(listening)
            del status


async def strangers() -> None:
    """What is no channel is left out, and nobody else notices."""
    with link() as made, entered(made, "worker") as worker:
        await worker.status()
        outer = made.doors["worker"].outer
        outer.send(b"no descriptor")
        with socket.socket() as wrong, socket.socketpair()[0] as stream:
            for each in (wrong, stream):
                socket.send_fds(outer, [b"channel"], [each.fileno()])
            socket.send_fds(outer, [b"channel"], [wrong.fileno(), stream.fileno()])
            socket.send_fds(outer, [b"another"], [wrong.fileno()])
        reading, writing = os.pipe()
        socket.send_fds(outer, [b"channel"], [reading])
        os.close(reading)
        os.close(writing)
        with entered(made, "worker") as other:
            assert (await other.status()).clients == 2
        kept = []
        for _ in range(300):
            while True:
                try:
                    kept.append(doors.knock(outer))
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.01)
        with entered(made, "gateway") as gateway:
            assert (await gateway.status()).clients <= 257, "a role has its own places"
        for each in kept:
            each.close()


if __name__ == "__main__":
    in_loop(globals()[sys.argv[1]])
