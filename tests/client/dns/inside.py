"""What the service is tried with, each function in a network of its own: `python -m … NAME FOLDER`.

There /etc/resolv.conf is a mounted file, which names 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from octelium.client.dns.resolv_conf import PATH
from octelium.client.dns.resolved import Resolved
from octelium.client.dns.service import HostNames
from octelium.client.dns.upstreams import dial_here
from tests.client.dns.servers import Answers, address, look_up, patience, serving

DOMAINS = ("local.example.com",)
OTHERS = ("local.other.com",)
NO_SYSTEMD = Resolved("/nonexistent")
UP = {"here": True}


def names(folder: Path, **options: object) -> HostNames:
    given = {"is_up": lambda: UP["here"], "directory": folder, "resolved": NO_SYSTEMD, **options}
    return HostNames(dial_here, **given)  # type: ignore[arg-type]  # passed on


async def by_libc(name: str) -> str:
    """What any program of this host finds; empty if nothing."""
    code = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"
    words = (sys.executable, "-c", code, name)
    environ = {**os.environ, "RES_OPTIONS": "timeout:30"}  # rather than that of the file
    done = await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, env=environ
    )
    assert done.returncode == 0 or "gaierror" in done.stderr
    return done.stdout.strip()


async def programs_find_names(folder: Path) -> None:
    cluster, former = Answers("100.64.0.9"), Answers("192.0.2.9")
    original = PATH.read_bytes()
    async with serving(cluster, "127.0.0.2", 53), serving(former, "127.0.0.1", 53):
        made = names(folder, zones=lambda: ["64.100.in-addr.arpa"])
        told = await made.start("octelium0", ["127.0.0.2"], DOMAINS)
        assert told.startswith("*.local.example.com is looked up at the Cluster")
        assert await by_libc("web") == "100.64.0.9"
        assert await by_libc("web.default.local.example.com") == "100.64.0.9"
        assert await by_libc("www.example.com") == "192.0.2.9"
        asked = len(former.asked)
        await look_up(("127.0.0.100", 53), "9.0.64.100.in-addr.arpa", "PTR")
        assert cluster.asked[-1] == "9.0.64.100.in-addr.arpa."
        UP["here"] = False
        assert await by_libc("web.default.local.example.com") == ""
        assert await by_libc("web.default.local") == ""
        UP["here"] = True
        assert len(former.asked) == asked
        async with serving(cluster, "127.0.0.4", 53):
            assert await made.start("octelium0", ["127.0.0.4"], DOMAINS) == told
            assert await by_libc("web") == "100.64.0.9"
        await made.stop()
        await made.stop()
        assert PATH.read_bytes() == original
        assert await by_libc("www.example.com") == "192.0.2.9"
    assert not list(folder.glob("*.json"))


async def no_server_is_named(folder: Path) -> None:
    """Then programs ask one at this host."""
    PATH.write_text("options attempts:1 timeout:1\n")
    former = Answers("192.0.2.9")
    async with serving(former, "127.0.0.1", 53):
        made = names(folder)
        await made.start("octelium0", ["127.0.0.2"], DOMAINS)
        assert b"nameserver 127.0.0.100\n" in PATH.read_bytes()
        assert await by_libc("www.example.com") == "192.0.2.9"
        await made.stop()
    assert PATH.read_text() == "options attempts:1 timeout:1\n"


async def two_clusters(folder: Path) -> None:
    one, two, former = Answers("100.64.0.1"), Answers("100.64.0.2"), Answers("192.0.2.9")
    original = PATH.read_bytes()
    async with (
        serving(one, "127.0.0.2", 53),
        serving(two, "127.0.0.3", 53),
        serving(former, "127.0.0.1", 53),
    ):
        first, second = names(folder), names(folder)
        await first.start("octelium0", ["127.0.0.2"], DOMAINS)
        await second.start("octelium1", ["127.0.0.3"], OTHERS)
        assert b"nameserver 127.0.0.101\n" in PATH.read_bytes()
        for name, expected in (
            ("web.local.example.com", "100.64.0.1"),
            ("web.local.other.com", "100.64.0.2"),
            ("web.test", "192.0.2.9"),
        ):
            assert await by_libc(name) == expected
        await first.stop()
        assert await by_libc("next.local.other.com") == "100.64.0.2"
        assert await by_libc("next.test") == "192.0.2.9"
        assert not any("local" in name for name in former.asked)
        await second.stop()
    assert PATH.read_bytes() == original


async def no_rights(folder: Path) -> None:
    original = PATH.read_bytes()
    nowhere = Path("/proc/nowhere")
    with pytest.raises(OSError, match=r"/etc/resolv\.conf: .*; Services are reached by address"):
        await names(folder, directory=nowhere).start("octelium0", ["127.0.0.2"], DOMAINS)
    cluster = Answers("100.64.0.9")
    async with serving(cluster, "127.0.0.2", 53):
        made = names(folder, directory=nowhere, listen=("127.0.0.100", 53))
        told = await made.start("octelium0", ["127.0.0.2"], DOMAINS)
        assert "is at 127.0.0.100 port 53; /etc/resolv.conf is left as it is (" in told
        assert address(await look_up(("127.0.0.100", 53), "web.local")) == "100.64.0.9"
        with pytest.raises(OSError) as caught:
            await names(folder, listen=("127.0.0.100", 53)).start("x", ["127.0.0.2"], DOMAINS)
        assert "no name server can be at 127.0.0.100 port 53" in str(caught.value)
        await made.stop()
    # Its address is free again.
    with socket.create_server(("127.0.0.100", 53)):
        pass
    assert PATH.read_bytes() == original


async def a_foreign_edit(folder: Path) -> None:
    said: list[str] = []
    made = names(folder, warn=said.append)
    await made.start("octelium0", ["127.0.0.2"], DOMAINS)
    PATH.write_text("nameserver 198.51.100.1\n")
    await made.stop()
    assert PATH.read_text() == "nameserver 198.51.100.1\n"
    assert said == [
        "/etc/resolv.conf was changed by another program meanwhile, and is left as it is"
    ]


async def until_killed(folder: Path) -> None:
    made = names(folder)
    await made.start("octelium0", ["127.0.0.2"], DOMAINS)
    assert made._guardian is not None
    print(made._guardian.pid, flush=True)
    os.read(0, 1)


if __name__ == "__main__":
    with patience():
        asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
