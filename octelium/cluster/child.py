"""Entry of the processes that the supervisor spawns.

A child learns its role, settings and inherited descriptors from one JSON text in its environment,
and dies with the supervisor whatever happens to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import logging
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from octelium.tunnel.link import capabilities

VARIABLE = "OCTELIUM_CHILD"
LOG_LEVEL = "OCTELIUM_LOG_LEVEL"
EXIT_UNUSABLE = 78
"""Exit status of a child that cannot start, and would not after a restart either."""
_PRIVILEGED = frozenset({"link"})
"""Roles that need capabilities, and give up themselves what they do not need."""
_POLITENESS = 5
"""See nice(2)."""
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a child is told."""

    role: str
    """`control`, `worker`, `link` or `gateway`."""
    name: str
    """`control`, `worker-0`, …"""
    parent: int
    settings: dict[str, Any]
    """`octelium.cluster.settings.to_wire`."""
    descriptors: dict[str, list[int]] = field(default_factory=dict)
    """Inherited descriptors by use: `listen`, `feed`, `auth`, `admin`, `committed`, `ready`."""
    first: bool = False
    """Whether none of this name was started before."""

    def to_text(self) -> str:
        """The JSON form."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Assignment:
        """The reverse of `to_text`."""
        return cls(**json.loads(text))

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message to the supervisor."""
        os.write(self.descriptors["ready"][0], json.dumps(message).encode() + b"\n")


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the supervisor ends; leave if that was already.

    See prctl(2), PR_SET_PDEATHSIG.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(0)


def be_private() -> None:
    """Let other processes of this user neither look into this one nor take its descriptors.

    See prctl(2), PR_SET_DUMPABLE, and ptrace(2), "Ptrace access mode checking". Capabilities that
    others lack do the same for who has some.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def name_process(name: str) -> None:
    """Show `name` in ps and top (15 characters at most)."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15])


def allow_files() -> None:
    """Raise the limit of open files as far as it goes: each connection takes one or two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def give_way() -> None:
    """Let other processes go first where there is not enough time for all, in a ratio of 3 to 1.

    Where the kernel gives each terminal session a share of its own, the value of the share counts;
    see sched(7), "The autogroup feature".
    """
    os.nice(_POLITENESS)
    group = Path("/proc/self/autogroup")
    if group.exists():
        with contextlib.suppress(OSError):  # a container may not let it be written
            group.write_text(str(_POLITENESS))


def log_level() -> str:
    """How much processes tell on stderr: what is set, or to a person at a terminal no details."""
    usual = "WARNING" if sys.stderr is not None and sys.stderr.isatty() else "INFO"
    return (os.environ.get(LOG_LEVEL) or usual).upper()


def main() -> None:
    """Run the assignment in the environment."""
    assignment = Assignment.from_text(os.environ.pop(VARIABLE))
    die_with_parent(assignment.parent)
    if assignment.role not in _PRIVILEGED:
        capabilities.keep_only()
    name_process(f"oct-{assignment.name}")
    allow_files()
    if assignment.role == "control":  # who signs in must not hold up who is signed in
        give_way()
    if assignment.role not in _PRIVILEGED:
        be_private()
    logging.basicConfig(
        level=log_level(),
        format=f"%(asctime)s {assignment.name} %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # It tells of each request with the whole URL, of which administrators write parts.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("fido2").setLevel(logging.WARNING)  # the authentication log tells as much
    role = importlib.import_module(f"octelium.cluster.{assignment.role}")  # one role's imports only
    sys.exit(role.run(assignment))


if __name__ == "__main__":
    main()
