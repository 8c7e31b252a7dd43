"""How long a second start takes, and `--help`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.processes import BenchError, stop
from bench.report import Bar, Report
from bench.tools import ROOT, say
from tests.e2e.cluster import Cluster

_HELPS: Final = 9


def run(rounds: int) -> Report:
    """Measure with all cores."""
    report = Report("Starts: `octelium up` until /readyz says so; --help beside `python3 -c pass`")
    folder = Path(tempfile.mkdtemp(prefix="octelium-bench-"))
    cluster = Cluster(folder, workers=2)
    try:
        say("first start")
        report.add("octelium up", "first start", "s", _start(cluster))
        for number in range(rounds):
            cluster.stop()
            say(f"start {number + 2}")
            report.add("octelium up", "second start", "s", _start(cluster))
        report.add("octelium up", "stop", "s", cluster.stop())
    finally:
        if cluster.process is not None:
            stop(cluster.process)
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)
    say("--help")
    python = interpreter()
    for _ in range(rounds * _HELPS):
        report.add("python3 -c pass", "time", "ms", _time([python, "-c", "pass"]))
        for program in ("octeliumctl", "octelium", "octops"):
            words = [python, str(ROOT / "dist" / program), "--help"]
            report.add(f"{program} --help", "time", "ms", _time(words))
    second = report.median("octelium up", "second start")
    report.bars.append(Bar("octelium up, second start", second, 2.0, "s"))
    ratio = report.median("octeliumctl --help", "time") / report.median("python3 -c pass", "time")
    report.bars.append(Bar("octeliumctl --help, of `python3 -c pass`", ratio, 3.0, "times"))
    return report


def interpreter() -> str:
    """The Python that runs the zipapp, itself rather than a version manager's script for it.

    Raises:
        BenchError: its first line names none that exists.
    """
    with (ROOT / "dist/octelium.pyz").open("rb") as zipapp:
        words = zipapp.readline().decode().removeprefix("#!").split()
    program = shutil.which(words[-1])
    if program is None:
        raise BenchError(f"the zipapp wants {words[-1]}, which is not here")
    words = [program, "-c", "import sys; print(sys.executable)"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def _start(cluster: Cluster) -> float:
    started = time.perf_counter()
    cluster.start()
    return time.perf_counter() - started


def _time(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True, timeout=60)
    return (time.perf_counter() - started) * 1000
