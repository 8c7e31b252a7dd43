"""CPU per request, latency at a fixed rate, and large bodies, beside other proxies."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from bench import tools
from bench.contestants import PEERS, Contestant, Upstream, describe, furnish, pinned, start_peer
from bench.load import Burst, Wrk, download, open_loop, percentile, upload
from bench.processes import BenchError, Memory, Processes, Quiet, cores, cpu, stop
from bench.report import Bar, Report
from bench.tools import say

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

RATE: Final = 100
_ATTEMPTS: Final = 3
_SETTLE: Final = 1.0
"""Seconds for log writers to finish what a burst left them."""
_GIB: Final = 1 << 30


class HttpBench:
    """One run: everything started once, measured in interleaved rounds."""

    def __init__(self, folder: Path, rounds: int, seconds: int) -> None:
        self._folder = folder
        self._rounds = rounds
        self._seconds = seconds
        self._load_core, self._core = cores()
        self._report = Report(
            "HTTP/1.1 keep-alive through a proxy on one core, 32 connections, 12 fields with a "
            "cookie, 100 Sessions in rotation, 74-byte answers"
        )
        self._noisy = 0

    def run(self) -> Report:
        """Start, measure, end."""
        processes = Processes(self._folder)
        upstream = Upstream(self._folder, self._load_core)
        cluster = pinned(self._folder / "cluster", self._core)
        try:
            upstream.start(processes)
            say("octelium up, 100 Sessions")
            cluster.start()
            tokens = furnish(cluster, upstream)
            contestants = [describe(cluster)]
            for name in PEERS:
                say(name)
                contestants.append(start_peer(name, upstream, processes, self._core))
            for contestant in contestants:
                self._probe(contestant, tokens)
            self._report.notes.append(
                ", ".join(f"{item.name} {item.version}" for item in contestants)
            )
            self._measure(contestants, tokens, upstream)
        finally:
            processes.stop()
            if cluster.process is not None:
                stop(cluster.process)
            cluster.remove()
        self._judge()
        return self._report

    def _probe(self, contestant: Contestant, tokens: list[str]) -> None:
        """The right answer, and for ours the refusal of a wrong token, before anything counts."""
        open_loop(contestant.tls, tokens, rate=50, seconds=0.2)
        if contestant.plain is not None:
            open_loop(contestant.plain, tokens, rate=50, seconds=0.2, secure=False)
        if contestant.name == "octelium":
            try:
                open_loop(contestant.tls, ["wrong" + tokens[0][5:]] * 8, rate=50, seconds=0.1)
            except BenchError:
                return
            raise BenchError("a wrong token was let through")

    def _measure(
        self, contestants: list[Contestant], tokens: list[str], upstream: Upstream
    ) -> None:
        wrk = Wrk(self._folder, self._load_core, tokens)
        for number in range(self._rounds):
            say(f"round {number + 1} of {self._rounds}")
            for contestant in contestants:
                self._requests(contestant, wrk, secure=True)
                if contestant.plain is not None:
                    self._requests(contestant, wrk, secure=False)
            for contestant in contestants:
                self._latency(contestant, tokens)
            self._direct(upstream, tokens)
            for contestant in contestants:
                self._bodies(contestant, tokens[0], upstream)

    def _requests(self, contestant: Contestant, wrk: Wrk, *, secure: bool) -> None:
        port = contestant.tls if secure else contestant.plain
        assert port is not None
        suffix = "" if secure else ", plain text"

        weighed = {"": contestant.root, **contestant.parts}

        def once() -> tuple[Burst, dict[str, float]]:
            wrk.run(port, 1, secure=secure)
            time.sleep(_SETTLE)
            before = {part: cpu(root) for part, root in weighed.items()}
            burst = wrk.run(port, self._seconds, secure=secure)
            time.sleep(_SETTLE)
            return burst, {part: cpu(root) - before[part] for part, root in weighed.items()}

        burst, used = self._undisturbed(once)
        row = contestant.name + suffix
        for part, microseconds in used.items():
            name = f"{row}: {part}" if part else row
            self._report.add(name, "CPU", "µs/request", microseconds / burst.requests)
        self._report.add(row, "rate", "requests/s", burst.requests / burst.seconds)
        self._report.add(row, "p99 saturated", "ms", burst.p99_ms)

    def _latency(self, contestant: Contestant, tokens: list[str]) -> None:
        def once() -> list[float]:
            return open_loop(contestant.tls, tokens, rate=RATE, seconds=self._seconds)

        latencies = self._undisturbed(once)
        self._report.add(contestant.name, f"p50 at {RATE}/s", "ms", percentile(latencies, 0.5))
        self._report.add(contestant.name, f"p99 at {RATE}/s", "ms", percentile(latencies, 0.99))

    def _direct(self, upstream: Upstream, tokens: list[str]) -> None:
        latencies = open_loop(
            upstream.small, tokens, rate=RATE, seconds=self._seconds, secure=False
        )
        self._report.add("upstream, directly", f"p50 at {RATE}/s", "ms", percentile(latencies, 0.5))
        self._report.add(
            "upstream, directly", f"p99 at {RATE}/s", "ms", percentile(latencies, 0.99)
        )

    def _bodies(self, contestant: Contestant, token: str, upstream: Upstream) -> None:
        large = upstream.folder / "large"
        for name in ("1 GiB down", "1 GiB up"):
            memory = Memory(contestant.root)
            if name == "1 GiB down":
                speed = download(contestant.tls, token, self._load_core)
            else:
                speed = upload(contestant.tls, token, self._load_core, large)
            self._report.add(contestant.name, name, "GiB/s", speed / _GIB)
            self._report.add(contestant.name, f"{name}, memory", "MiB", memory.growth() / (1 << 20))

    def _undisturbed(self, measure: Callable[[], T]) -> T:
        """Measure again, a few times, while the hypervisor takes the cores away."""
        for _ in range(_ATTEMPTS):
            quiet = Quiet((self._load_core, self._core))
            result = measure()
            if quiet.stolen() < Quiet.LIMIT:
                return result
        self._noisy += 1
        return result

    def _judge(self) -> None:
        report = self._report
        if self._noisy:
            report.notes.append(f"{self._noisy} measurements had 3 % or more of stolen time")
        cost = report.median("octelium", "CPU") / report.median("envoy", "CPU")
        report.bars.append(Bar("CPU per request, of Envoy's", cost, 1.0, "times"))
        name = f"p99 at {RATE}/s"
        slow = report.median("octelium", name) - report.median("nginx", name)
        report.bars.append(Bar(f"{name}, above nginx's", slow, 1.0, "ms"))
        for name in ("1 GiB down", "1 GiB up"):
            slower = report.median("nginx", name) / report.median("octelium", name)
            report.bars.append(Bar(f"{name}: nginx's throughput, of ours", slower, 2.0, "times"))
            memory = report.median("octelium", f"{name}, memory")
            report.bars.append(Bar(f"{name}: growth of memory", memory, 16.0, "MiB"))


def run(rounds: int, seconds: int) -> Report:
    """Measure everything; takes some minutes."""
    tools.ensure(("nginx", "haproxy", "caddy", "wrk", "curl", "taskset"), names=True)
    tools.ensure_envoy()
    folder = Path(tempfile.mkdtemp(prefix="octelium-bench-"))
    try:
        return HttpBench(folder, rounds, seconds).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
