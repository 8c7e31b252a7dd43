"""Processes of a measurement: pinned to a core, weighed by /proc, ended with the run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TICK: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")
"""Microseconds of a unit of /proc/PID/stat."""


class BenchError(Exception):
    """A measurement that cannot be made; the text says why and what to do."""


def cores() -> tuple[int, int]:
    """The core of load generator and upstream, and that of the contestant.

    Raises:
        BenchError: there is only one.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for the load, one for the contestant")
    return usable[0], usable[1]


@dataclass
class Processes:
    """What was started; `stop` ends it, the last first."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: list[IO[bytes]] = field(default_factory=list)

    def start(
        self,
        name: str,
        words: Sequence[str],
        core: int,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program on a core; its output goes to a file of the folder."""
        log = (self.folder / f"{name}.out").open("ab")
        self.logs.append(log)
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *words],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )
        self.running.append(process)
        return process

    def stop(self) -> None:
        """End everything that was started."""
        for process in reversed(self.running):
            stop(process)
        for log in self.logs:
            log.close()


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """SIGTERM, then SIGKILL."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for number in found:
        found += parents.get(number, [])
    return found


def cpu(root: int) -> float:
    """Microseconds of CPU that a process tree has used, ended children of it included."""
    total = 0
    for number in tree(root):
        with contextlib.suppress(OSError):
            values = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(int(value) for value in values[11:15])
    return total * _TICK


class Memory:
    """How much the resident memory of a tree's processes grows from here to its peak."""

    def __init__(self, root: int) -> None:
        self._before: dict[int, int] = {}
        for number in tree(root):
            with contextlib.suppress(OSError):
                Path(f"/proc/{number}/clear_refs").write_text("5")  # resets the peak
                self._before[number] = _status(number, "VmRSS")

    def growth(self) -> int:
        """Bytes of the process that grew most."""
        grown = [0]
        for number, before in self._before.items():
            with contextlib.suppress(OSError):
                grown.append(_status(number, "VmHWM") - before)
        return max(grown)


def _status(number: int, name: str) -> int:
    for line in Path(f"/proc/{number}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {name} of process {number}")


class Quiet:
    """Whether the machine was left alone: time stolen by the hypervisor on the cores in use."""

    LIMIT: Final = 0.03

    def __init__(self, used: Iterable[int]) -> None:
        self._used = {f"cpu{core}" for core in used}
        self._before = self._read()
        self._started = time.monotonic()

    def stolen(self) -> float:
        """The larger share of time stolen since the start."""
        seconds = max(time.monotonic() - self._started, 0.01)
        after = self._read()
        return max((after[core] - self._before[core]) * _TICK / 1e6 / seconds for core in after)

    def _read(self) -> dict[str, int]:
        found = {}
        for line in Path("/proc/stat").read_text().splitlines():
            name, *values = line.split()
            if name in self._used:
                found[name] = int(values[7])
        return found


def ended_by_signals() -> None:
    """Let SIGTERM unwind like Ctrl-C, so that what was started is ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
