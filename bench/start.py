"""How long a second start takes, with and without the private network, `octelium connect` until its
first request is answered, and `--help`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.private import WEB, private_world, service, users
from bench.processes import BenchError, cpu, stop
from bench.report import Bar, Report
from bench.tools import ROOT, say
from tests.e2e.cluster import DOMAIN, Cluster
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from bench.private import World

_HELPS: Final = 9
CONNECTS: Final = 10
_ANSWERED: Final = 1.0
_TAB: Final = 300.0
_PATIENCE: Final = 60.0
_QUIET: Final = 1.0
"""Seconds between two connections."""


def run(rounds: int) -> Report:
    """Measure with all cores."""
    report = Report(
        "Starts: `octelium up` until /readyz says so; `octelium connect` until a request is "
        "answered; --help beside `python3 -c pass`"
    )
    for tunnel in ("off", "auto"):
        _ups(report, tunnel, rounds)
    for engine in ("own", "auto"):
        with private_world(_web(), engine=engine) as world:
            environment = _environment(world, engine)
            _connects(report, world, engine, environment)
            if engine == "own":
                _completions(report, world, environment)
    say("--help")
    python = interpreter()
    for _ in range(rounds * _HELPS):
        report.add("python3 -c pass", "time", "ms", _time([python, "-c", "pass"]))
        for program in ("octeliumctl", "octelium", "octops"):
            words = [python, str(ROOT / "dist" / program), "--help"]
            report.add(f"{program} --help", "time", "ms", _time(words))
    for tunnel in ("off", "auto"):
        second = report.median(f"octelium up --tunnel {tunnel}", "second start")
        report.bars.append(Bar(f"octelium up --tunnel {tunnel}, second start", second, 2.0, "s"))
    for engine in ("own", "auto"):
        row = f"octelium connect --engine {engine}"
        answered = report.median(row, "first answer")
        report.bars.append(Bar(f"{row}: p50 of {CONNECTS}", answered, _ANSWERED, "s"))
    ratio = report.median("octeliumctl --help", "time") / report.median("python3 -c pass", "time")
    report.bars.append(Bar("octeliumctl --help, of `python3 -c pass`", ratio, 3.0, "times"))
    tab = report.median("octelium open, Tab", "time")
    report.bars.append(Bar("octelium open, Tab: p50", tab, _TAB, "ms"))
    return report


def _ups(report: Report, tunnel: str, rounds: int) -> None:
    row = f"octelium up --tunnel {tunnel}"
    folder = Path(tempfile.mkdtemp(prefix="octelium-bench-"))
    environment = {
        "OCTELIUM_TUNNEL": tunnel,
        "OCTELIUM_WIREGUARD_LISTEN": f"127.0.0.1:{free_port()}",
    }
    cluster = Cluster(folder, workers=2, environment=environment)
    try:
        say(f"{row}: first start")
        report.add(row, "first start", "s", _start(cluster))
        for number in range(rounds):
            cluster.stop()
            say(f"{row}: start {number + 2}")
            report.add(row, "second start", "s", _start(cluster))
            assert cluster.process is not None
            report.add(row, "CPU of all", "s", cpu(cluster.process.pid) / 1e6)
        report.add(row, "stop", "s", cluster.stop())
    finally:
        if cluster.process is not None:
            stop(cluster.process)
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _web() -> dict[str, Any]:
    made = service(WEB, "HTTP", "http://127.0.0.1:8000", 80)
    made["spec"]["config"] = {"http": {"response": {"direct": {"inline": "hello"}}}}
    return made


def _environment(world: World, engine: str) -> dict[str, str]:
    """That of somebody who uses this Cluster alone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OCTELIUM")}
    return {
        **kept,
        "OCTELIUM_DOMAIN": DOMAIN,
        "OCTELIUM_API_ENDPOINT": world.endpoint,
        "OCTELIUM_HOME": str(world.folder / f"home-{engine}"),
        "SSL_CERT_FILE": str(world.authority),
    }


def _connects(report: Report, world: World, engine: str, environment: dict[str, str]) -> None:
    """One after the other, with a Session that is kept; the first only makes it."""
    (token,) = world.tokens(users()[:1])
    words = (interpreter(), str(ROOT / "dist/octelium"), "connect", "--engine", engine)
    for number in range(CONNECTS + 1):
        say(f"octelium connect --engine {engine}: {number} of {CONNECTS}")
        began = time.perf_counter()
        given = {"stderr": subprocess.PIPE, "env": {**environment, "OCTELIUM_AUTH_TOKEN": token}}
        with world.guest.process(*words, **given) as process:
            assert process.stderr is not None
            said = ""
            while "Connected to" not in said:
                line = process.stderr.readline()
                if not line or time.perf_counter() - began > _PATIENCE:
                    raise BenchError(f"octelium connect: {said}")
                said += line
            taken = time.perf_counter() - began
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE)
        if number:
            report.add(f"octelium connect --engine {engine}", "first answer", "s", taken)
        time.sleep(_QUIET)


def _completions(report: Report, world: World, environment: dict[str, str]) -> None:
    """Somebody presses Tab after `octelium open `."""
    asked = {
        "_OCTELIUM_COMPLETE": "bash_complete",
        "COMP_WORDS": "octelium open ",
        "COMP_CWORD": "2",
    }
    program = [interpreter(), str(ROOT / "dist/octelium")]
    for number in range(CONNECTS + 1):
        began = time.perf_counter()
        found = world.guest.run(*program, env={**environment, **asked}).stdout
        taken = (time.perf_counter() - began) * 1000
        if number:  # the first one may find no names yet
            if WEB not in found:
                raise BenchError(f"octelium open, Tab: {found!r}")
            report.add("octelium open, Tab", "time", "ms", taken)


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
    # With a timeout, Popen would look only after 1, 2, 4 … 32 ms whether it has ended.
    started = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000
