"""Links for tests: a namespace of their own, with a link process, as root and as an ordinary user.

What runs in them are functions of `scenarios`, each in a process of its own, which holds only what
Python brings along, so that an interpreter that everybody may run will do.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from octelium.tunnel.link import launch, namespace, protocol
from octelium.tunnel.link.plan import FirewallPlan, LinkPlan
from octelium.tunnel.link.sockets import LinkSockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.tunnel.link.namespace import PrivateNamespace

Privilege = Literal["root", "user"]
ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534
SERVICES = ("100.64.0.0/16", "fdee:1:2:3::/80")
SESSIONS = ("100.65.0.0/16", "fdee:1:2:3:1::/80")
VIP, VIP6 = "100.64.0.9", "fdee:1:2:3::9"
PEER, PEER6 = "100.65.0.7", "fdee:1:2:3:1::7"
CLUSTER = LinkPlan(1280, SERVICES, SESSIONS, (), FirewallPlan(SESSIONS, SERVICES))
CLIENT = LinkPlan(
    1280,
    (),
    SERVICES,
    (f"{PEER}/32", f"{PEER6}/128"),
    FirewallPlan(SERVICES, (f"{PEER}/32", f"{PEER6}/128"), incoming=False),
)
PATIENCE = 120.0
"""Seconds for what must come, on a machine that others use, too."""
_SECONDS = 300
_SETPRIV = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --".split()
# A device node that everybody may open, as most machines have it, for this process tree alone.
_NODE = """
set -e
mount -t tmpfs none "$1"
mknod -m 666 "$1/tun" c 10 200
mount --bind "$1/tun" /dev/net/tun
shift
exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
"""


class NotVerifiedError(RuntimeError):
    """This machine cannot show it; the text says what it would take."""


@dataclass
class Link:
    """A namespace and its link process, which `restart` replaces."""

    namespace: PrivateNamespace
    path: Path
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.process = self.start()

    def sockets(self) -> LinkSockets:
        return LinkSockets(self.path, patience=PATIENCE)


@contextmanager
def link(plan: LinkPlan | None) -> Iterator[Link]:
    """A link of one's own until the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "link.sock")
        made = namespace.make()
        listening = protocol.listen(path)

        def start() -> subprocess.Popen[bytes]:
            return launch.spawn(listening, made, plan)

        running = Link(made, path, start, start())
        try:
            yield running
        finally:
            running.kill()
            listening.close()
            made.close()


@contextmanager
def closing(link_: Link) -> Iterator[LinkSockets]:
    sockets = link_.sockets()
    try:
        yield sockets
    finally:
        sockets.close()


def run(scenario: str, privilege: Privilege, folder: Path) -> str:
    """Run a function of `scenarios`, or `pieces.NAME`, to its end; its output.

    Raises:
        AssertionError: it failed, and how.
        NotVerifiedError: this machine, or this user, cannot.
    """
    name, _, function = scenario.rpartition(".")
    words = ["-P", "-s", "-m", f"tests.tunnel.link.{name or 'scenarios'}", function]
    module = [sys.executable, *words]
    root = os.geteuid() == 0
    if privilege == "root" and not root:
        raise NotVerifiedError("not verified: run the tests as root")
    if privilege == "user" and root:
        module[0] = everybodys_python()
        node = folder / "node"
        node.mkdir()
        module = ["unshare", "--mount", "sh", "-c", _NODE, "sh", str(node), *module]
    ended = subprocess.run(
        module,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{scenario} as {privilege}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@cache
def everybodys_python() -> str:
    """An interpreter that user 65534 may run. Raises NotVerifiedError."""
    code = "import sys, octelium; raise SystemExit(sys.version_info < (3, 11))"
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        tried = subprocess.run(
            # The shell, unlike setpriv, has no capabilities left when it executes the program.
            [*_SETPRIV, "sh", "-c", '"$@"; exit $?', "sh", candidate, "-P", "-s", "-c", code],
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if tried.returncode == 0:
            return candidate
    raise NotVerifiedError("not verified: no Python that an ordinary user may run finds octelium")


def host_state() -> str:
    """Addresses, links, routes, rules, filters and settings of the network the tests run in."""
    commands = (
        "ip -oneline address",
        "ip -oneline link",
        "ip route show table all",
        "ip -6 route show table all",
        "ip rule",
        "nft --stateless list ruleset",  # without what rules of the machine have counted
    )
    settings = ("ip_forward", "ip_unprivileged_port_start", "ipfrag_time", "conf/all/rp_filter")
    parts = [
        *(subprocess.check_output(command.split(), text=True) for command in commands),
        *(Path("/proc/sys/net/ipv4", name).read_text() for name in settings),
    ]
    return re.sub(r"\d+sec", "", "\n".join(parts))  # how long leases last yet


def in_loop(function: Callable[[], object]) -> None:
    """For scenarios that are coroutine functions."""
    result = function()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
