"""A machine to install on: a fresh system, booted by systemd-nspawn with systemd as its first
process, in a network of its own, over a copy in memory. Nothing of it stays.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.cluster import wait_for
from tests.peers.namespaces import Namespace, network
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "203.0.113.10"
OUTSIDE = "203.0.113.254"
DOMAIN = "203-0-113-10.sslip.io"
NAMES = "203.0.113.1"
RELEASES = "/mnt/releases"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHANGES = """find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp
 -o -path /var/log -o -path /var/tmp -o -path /var/lib/systemd -o -path /mnt \\) -prune
 -o ! -type d -printf '%p %s %T@ %u %m\\n' -o -printf '%p %u %m\\n' | sort;
 ls -A /var/tmp | sed /^systemd-private/d"""


@dataclass(frozen=True)
class Machine:
    """A booted system; `leader` is its first process, `outside` another host beside it."""

    leader: int
    host: Namespace
    outside: Namespace

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside; stderr is in stdout. Raises AssertionError."""
        nsenter = program("nsenter", "util-linux")
        inside = [nsenter, "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        done = subprocess.run(
            [*inside, "env", "-i", f"PATH={_PATH}", "HOME=/root", "TERM=dumb", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{words} ends with {done.returncode}:\n{done.stdout}")
        return done

    def shell(self, script: str, *, check: bool = True) -> str:
        """What a script of sh says."""
        return self.run("sh", "-c", script, check=check).stdout

    def install(
        self, release: str, *options: str, before: str = "", check: bool = True, shell: str = "sh"
    ) -> subprocess.CompletedProcess[str]:
        """Run install.sh of a release, after `before` in a mount namespace of their own."""
        command = f"{shell} {RELEASES}/{release}/install.sh {shlex.join(options)}"
        script = f"set -e\n{before}\n{command}"
        return self.run("unshare", "--mount", "sh", "-c", script, check=check)

    def state(self) -> str:
        """Every file, whose it is and when it was last written."""
        return self.shell(_CHANGES.replace("\n", " "))


@contextmanager
def booted(root: Path, releases: Path, folder: Path, *, is_bare: bool = False) -> Iterator[Machine]:
    """A running machine, which sees `releases` below RELEASES.

    One that is bare lets root do what it may without a container: have devices of the network, and
    set what is below /proc/sys/net.
    """
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {NAMES}\noptions timeout:30\n")
    with network(folder, ("root",)) as made:
        host, outside = made.namespace("host"), made.namespace("outside")
        made.cable(host, f"{ADDRESS}/24", outside, f"{OUTSIDE}/24")
        host.ip(f"address add {NAMES}/32 dev lo", f"route add default via {OUTSIDE}")
        names = (sys.executable, "-I", Path(__file__).with_name("names.py"), NAMES)
        with host.process(*names, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            with _nspawn(
                root, releases, resolv, host, folder / "console", is_bare=is_bare
            ) as leader:
                yield Machine(leader, host, outside)


@contextmanager
def _nspawn(
    root: Path, releases: Path, resolv: Path, host: Namespace, console: Path, *, is_bare: bool
) -> Iterator[int]:
    bare = ["--capability=CAP_NET_ADMIN"] if is_bare else []
    writable = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"} if is_bare else {}
    with console.open("wb") as written:
        nspawn = subprocess.Popen(
            [
                program("systemd-nspawn", "systemd-container"), *bare,
                "--quiet", f"--directory={root}", "--boot", "--volatile=overlay",
                "--register=no", "--keep-unit", "--console=pipe", "--link-journal=no",
                "--timezone=off", "--resolv-conf=off", f"--machine=octelium-test-{host.keeper.pid}",
                f"--network-namespace-path=/proc/{host.keeper.pid}/ns/net",
                f"--bind-ro={resolv}:/etc/resolv.conf", f"--bind-ro={releases}:{RELEASES}",
                # Else apt's daily work is done in the midst of a test, on some days.
                "systemd.mask=timers.target",
            ],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env={"PATH": _PATH, **writable},
        )  # fmt: skip
    leader = 0
    try:
        leader = wait_for(lambda: _leader(nspawn, console, host), 300, 0.1)
        yield leader
    finally:
        # With its first process, everything in it ends.
        with contextlib.suppress(ProcessLookupError):
            if leader:
                os.kill(leader, signal.SIGKILL)
            else:
                nspawn.kill()
        nspawn.wait(120)


def _leader(nspawn: subprocess.Popen[bytes], console: Path, host: Namespace) -> int | bool:
    """The first process, once it can be asked to start services."""
    if nspawn.poll() is not None:
        raise RuntimeError(f"systemd-nspawn ends: {console.read_text(errors='replace')}")
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
    if not children:
        return False
    leader = int(children[0])
    if not Path(f"/proc/{leader}/root/run/dbus/system_bus_socket").exists():
        return False
    asked = Machine(leader, host, host).run("systemctl", "is-system-running", check=False)
    return leader if asked.stdout.strip() in ("running", "degraded") else False
