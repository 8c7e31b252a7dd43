"""Starts a link process of one's own: what `octelium connect` does, and the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import octelium

if TYPE_CHECKING:
    import socket

    from octelium.tunnel.link.namespace import PrivateNamespace
    from octelium.tunnel.link.plan import LinkPlan


def spawn(
    listening: socket.socket,
    namespace: PrivateNamespace,
    plan: LinkPlan | None = None,
    *,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a link process that serves at `listening` and ends with this one.

    Whoever starts it keeps `listening` and `namespace`, and starts it again when it ends, unless
    with `helper.EXIT_UNUSABLE`. Requests may be made at once; they wait. `stdout` gets `ready`.
    To be called from a thread that stays: the kernel takes its end for the parent's.
    """
    given = {
        "parent": os.getpid(),
        "listening": listening.fileno(),
        "namespace": namespace.descriptors,
        "plan": plan and plan.to_wire(),
    }
    code = Path(octelium.__file__).parent.parent
    # Unpacked, everything stands beside the code; what the machine has is not wanted.
    isolated = ["-S"] if (code / "bin/preamble.py").exists() else []
    module = "octelium.tunnel.link.helper"
    return subprocess.Popen(  # noqa: S603  (our own interpreter and module)
        [sys.executable, "-P", "-s", *isolated, "-m", module, json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(code)},
        pass_fds=[listening.fileno(), *namespace.descriptors],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        start_new_session=True,  # a terminal's Ctrl-C reaches the starter alone
    )
