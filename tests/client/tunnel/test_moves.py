from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from octelium.client.tunnel import moves
from octelium.client.tunnel.moves import Moves
from tests.peers.namespaces import network

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_FOLLOW = """
import asyncio
from octelium.client.tunnel.moves import Moves

async def main():
    following = Moves(lambda: print("moved", flush=True), settle=0.05)
    following.start()
    print("ready", flush=True)
    await asyncio.to_thread(input)
    following.close()
    following.close()
    print("closed", flush=True)
    await asyncio.to_thread(input)

asyncio.run(main())
"""


def test_changes_that_come_together_are_told_once(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with network(tmp_path) as made:
        host = made.namespace("host")
        with host.process(sys.executable, "-c", _FOLLOW, **pipes) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            host.ip("link add name one type veth peer name two", "link set one up")
            host.ip("address add 192.0.2.1/24 dev one", "link set two up")
            assert process.stdout.readline() == "moved\n"
            process.stdin.write("\n")
            process.stdin.flush()
            rest = process.stdout.readline()
            while rest == "moved\n":  # `ip` was slower than we wait
                rest = process.stdout.readline()
            assert rest == "closed\n"
            host.ip("address del 192.0.2.1/24 dev one")
            assert process.communicate("\n", timeout=60)[0] == ""


async def test_a_kernel_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    monkeypatch.setattr(moves, "_NETLINK_ROUTE", 31)  # nobody's
    following = Moves(lambda: told.append("moved"))
    following.start()
    assert following._socket is None
    following.close()
    assert told == []
