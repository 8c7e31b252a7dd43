"""Restores a resolv.conf when its client ends without having done so, such as by `kill -9`.

`python -m octelium.client.dns.guardian PATH DIRECTORY OWNER` reads from stdin, says `ready`, and
does its work when stdin ends: the kernel closes the other end with the client, however it ends. It
has a session of its own, so that a terminal's Ctrl-C does not reach it, and no network.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import octelium
from octelium.client.dns.owners import Owners


class Guardian:
    """The process, from the side of the client that is guarded."""

    def __init__(self, owners: Owners, owner_id: str) -> None:
        """Start it, and wait until it is ready. Blocks.

        Raises:
            OSError: it cannot be started.
        """
        code = Path(octelium.__file__).parent.parent
        # Unpacked, everything stands beside the code; what the machine has is not wanted.
        isolated = ["-S"] if (code / "bin/preamble.py").exists() else []
        words = [sys.executable, "-P", "-s", *isolated, "-m", "octelium.client.dns.guardian"]
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [*words, str(owners.path), str(owners.directory), owner_id],
            env=_without_credentials() | {"PYTHONPATH": str(code)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.dismiss()
            raise OSError(f"the guardian ended with status {self._process.returncode}")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def dismiss(self) -> None:
        """Have it do what is left to do, and end. Blocks; may be called again."""
        self._process.communicate()


def _without_credentials() -> dict[str, str]:
    """The environment, of which nothing that a client is given has to live on."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OCTELIUM")}


def main() -> None:
    """See the module. Raises OSError when the file cannot be restored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    path, directory, owner = sys.argv[1:]
    owners = Owners(Path(path), Path(directory))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    # What the client's terminal was may be gone by the end.
    while os.read(0, 4096):
        pass
    owners.remove(owner)


if __name__ == "__main__":
    main()
