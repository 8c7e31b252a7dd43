"""Keeps a network namespace until stdin ends; then ends whatever is left in it.

Usage, within the namespace: keeper.py FOLDER. The files of FOLDER stand in for those of /etc, and
/var/lib is an empty folder in memory, so that no program notes anything on the machine.
Says `ready` once it can be used. The namespace, and every cable into it, ends with its last
process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_SECONDS = 60
_OPTIONAL = {"nsswitch.conf"}


def main() -> None:
    """See above. What fails is on stderr."""
    for file in Path(sys.argv[1]).iterdir():
        target = Path("/etc", file.name)
        if target.exists() or file.name not in _OPTIONAL:
            subprocess.run(["mount", "--bind", file, target], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/var/lib"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print("ready", flush=True)
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _SECONDS
    while (others := inhabitants()) and time.monotonic() < deadline:
        for number in others:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)
    if others:
        sys.exit(f"still there: {others}")


def inhabitants() -> list[int]:
    """The ids of the other processes of this network namespace."""
    own = Path("/proc/self/ns/net").stat()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            there = (entry / "ns/net").stat()
        except OSError:  # it has ended, or is another user's and so cannot be here
            continue
        if os.path.samestat(own, there):
            found.append(int(entry.name))
    return found


if __name__ == "__main__":
    main()
