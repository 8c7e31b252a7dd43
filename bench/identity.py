"""What logins cost, and what they cost those who are signed in already."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import tools
from bench.contestants import Upstream, furnish, pinned
from bench.load import open_loop, percentile
from bench.logins import AT_A_TIME, PEOPLE, WORKLOADS, Plan, Wave
from bench.processes import BenchError, Processes, cores, cpu, stop, tree
from bench.report import Bar, Report
from bench.tools import ROOT, say
from tests.e2e.cluster import DOMAIN, Cluster
from tests.e2e.logins import tokens_of, users
from tests.http import certs
from tests.peers.issuer import issuer
from tests.peers.oidc import oidc_provider
from tests.peers.pipe import context as server_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.issuer import Issuer
    from tests.peers.oidc import OidcProvider

RATE: Final = 500
"""Requests per second of those who are signed in."""
_BURST: Final = 0.5
"""Seconds of such requests that are measured together while logins go on."""
_KINDS: Final = {"oidc": 1, "assertion": 5, "token": 5, "refresh": 4}
"""Ways to sign in, and how often each of all does so in a wave."""
_WORDS: Final = {
    "oidc": "login at an OpenID provider, in a browser",
    "assertion": "assertion of a workload",
    "token": "authentication token",
    "refresh": "refresh token",
}
_BESIDE: Final = {"oidc": 1, "token": 20}
"""The same beside running traffic: long enough to be measured against."""
_SETTLE: Final = 1.0
_LONG: Final = 3600
_HANDSHAKES: Final = 200
_YIELD: Final = 'test ! -w /proc/self/autogroup || echo 19 >/proc/self/autogroup; exec "$@"'
_YIELDING: Final = ("setsid", "sh", "-c", _YIELD, "sh", "chrt", "--idle", "0")
"""Who signs in, and where, has the same cores, but only while nobody else wants them (sched(7),
'The autogroup feature'): what is measured is the Cluster, not the company that it keeps."""


class Generator:
    """`bench.logins`, and how it is talked to."""

    def __init__(self, plan: Plan, words: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(
            [*words, sys.executable, "-m", "bench.logins"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        self._tell(json.dumps(dataclasses.asdict(plan)))

    def stop(self) -> None:
        """End it."""
        stop(self._process)

    def ready(self, kind: str, each: int) -> None:
        """Everybody is about to sign in."""
        self._tell(json.dumps({"kind": kind, "each": each}))
        self._hear()

    def begin(self) -> None:
        """Everybody does."""
        self._tell("")

    def end(self) -> Wave:
        """How it went. Raises BenchError if somebody was not let in."""
        wave = Wave(**json.loads(self._hear()))
        if wave.failures:
            raise BenchError(f"{len(wave.failures)} of {wave.logins} logins: {wave.failures[0]}")
        return wave

    @property
    def busy(self) -> bool:
        """Whether the wave goes on."""
        assert self._process.stdout is not None
        return not select.select([self._process.stdout], [], [], 0)[0]

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the logins ended without a word")
        return line


class IdentityBench:
    """One run in one setting: the Cluster on a core of its own, or on all with everybody else."""

    def __init__(self, folder: Path, report: Report, rounds: int, seconds: int) -> None:
        self._folder = folder
        self._report = report
        self._rounds = rounds
        self._seconds = seconds
        self._load_core, self._core = cores()

    def run(self, setting: str, *, alone: bool) -> None:
        """Start, measure, end."""
        self._folder.mkdir()
        usable = os.sched_getaffinity(0)
        others = (*_YIELDING, "taskset", "-c", str(self._load_core)) if alone else _YIELDING
        authority = self._folder / "authority.pem"
        authority.write_bytes(certs.ca().chain)
        upstream = Upstream(self._folder, self._load_core)
        folder = self._folder / "cluster"
        cluster = pinned(folder, self._core) if alone else Cluster(folder, workers=2)
        cluster.environment["SSL_CERT_FILE"] = str(authority)
        if alone:
            os.sched_setaffinity(0, {self._load_core})
        with ExitStack() as stack:
            stack.callback(os.sched_setaffinity, 0, usable)
            processes = Processes(self._folder)
            stack.callback(processes.stop)
            stack.callback(_end, cluster)
            upstream.start(processes)
            cluster.start()
            callback = cluster.url("", "/callback")
            provider = stack.enter_context(oidc_provider(callback, {}, within=others))
            workloads = stack.enter_context(issuer())
            running = furnish(cluster, upstream)
            plan = _furnish_crowd(cluster, provider, workloads, authority)
            generator = Generator(plan, others)
            stack.callback(generator.stop)
            for number in range(self._rounds):
                say(f"{setting}: round {number + 1} of {self._rounds}")
                self._beside(setting, cluster, generator, running)
                if alone:
                    self._alone(cluster, generator)

    def _beside(
        self, setting: str, cluster: Cluster, generator: Generator, running: list[str]
    ) -> None:
        """Requests of those who are signed in: with nobody signing in, and with many."""
        quiet = open_loop(cluster.port, running, rate=RATE, seconds=self._seconds)
        self._latencies(f"{setting}: no logins", quiet)
        for kind, each in _BESIDE.items():
            generator.ready(kind, each)
            generator.begin()
            found: list[float] = []
            while generator.busy:
                burst = open_loop(cluster.port, running, rate=RATE, seconds=_BURST)
                if generator.busy:
                    found += burst
            wave = generator.end()
            if len(found) < RATE:
                raise BenchError(f"{wave.logins} logins by {kind} took only {wave.seconds:.1f} s")
            row = f"{setting}: {AT_A_TIME} at a time by {kind}"
            self._latencies(row, found)
            self._report.add(row, "logins", "/s", wave.logins / wave.seconds)
            time.sleep(_SETTLE)

    def _latencies(self, row: str, latencies: list[float]) -> None:
        for name, value in (
            ("p50", percentile(latencies, 0.5)),
            ("mean", statistics.fmean(latencies)),
            ("p99", percentile(latencies, 0.99)),
        ):
            self._report.add(row, name, "ms", value)

    def _alone(self, cluster: Cluster, generator: Generator) -> None:
        """CPU of the Cluster, and of the provider, for logins of each kind."""
        assert cluster.process is not None
        self._report.add("a TLS handshake, both ends", "CPU", "ms", _handshake())
        weighed = {"": cluster.process.pid, **cluster.children()}
        for kind, each in _KINDS.items():
            generator.ready(kind, each)
            time.sleep(_SETTLE)
            parts = {**weighed, "oidc-provider": _provider()} if kind == "oidc" else weighed
            before = {part: cpu(root) for part, root in parts.items()}
            generator.begin()
            wave = generator.end()
            time.sleep(_SETTLE)
            for part, root in parts.items():
                row = f"{_WORDS[kind]}: {part}" if part else _WORDS[kind]
                spent = (cpu(root) - before[part]) / wave.logins / 1000
                self._report.add(row, "CPU", "ms", spent)
            self._report.add(_WORDS[kind], "logins", "/s", wave.logins / wave.seconds)


def _end(cluster: Cluster) -> None:
    if cluster.process is not None:
        stop(cluster.process)
    cluster.remove()


def _furnish_crowd(
    cluster: Cluster, provider: OidcProvider, workloads: Issuer, authority: Path
) -> Plan:
    """Everybody who will sign in."""
    many = {"maxPerUser": 10_000}
    everybody = {"rules": [{"effect": "ALLOW", "condition": {"matchAny": True}}]}
    cluster.apply(
        *provider.resources(),
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "platform"},
            "spec": {"oidcIdentityToken": {"issuerURL": workloads.url}},
        },
        {
            "kind": "Service",
            "metadata": {"name": "hello"},
            "spec": {
                "mode": "WEB",
                "isPublic": True,
                "authorization": {"inlinePolicies": [{"spec": everybody}]},
                "config": {"http": {"response": {"direct": {"inline": "hello"}}}},
            },
        },
        *users("HUMAN", "corp", PEOPLE, **many),
        *users("WORKLOAD", "platform", WORKLOADS, **many),
        *(
            {
                "kind": "Credential",
                "metadata": {"name": name},
                "spec": {"type": "AUTH_TOKEN", "user": name, "sessionType": "CLIENTLESS"},
            }
            for name in WORKLOADS
        ),
    )
    until = int(time.time()) + _LONG
    assertions = [workloads.token(name, f"https://{DOMAIN}", exp=until) for name in WORKLOADS]
    return Plan(
        str(cluster.folder),
        cluster.port,
        provider.issuer,
        str(authority),
        tokens_of(cluster, WORKLOADS),
        assertions,
    )


def _provider() -> int:
    """The process of the npm package `oidc-provider`."""
    for number in tree(os.getpid()):
        if b"oidc.mjs" in Path(f"/proc/{number}/cmdline").read_bytes():
            return number
    raise BenchError("the OpenID provider does not run")


def _handshake() -> float:
    """Milliseconds of CPU of a whole handshake (TLS 1.3, ECDSA P-256) with a new connection."""
    theirs = server_context("localhost")
    ours = ssl.create_default_context(cadata=certs.ca().chain.decode())
    started = time.process_time()
    for _ in range(_HANDSHAKES):
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ours.wrap_bio(down, up, server_hostname="localhost")
        server = theirs.wrap_bio(up, down, server_side=True)
        for end in (client, server, client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        if client.version() != "TLSv1.3":
            raise BenchError("the handshake did not come to its end")
    return (time.process_time() - started) / _HANDSHAKES * 1000


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="octelium-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_ONE: Final = "one core for the Cluster"
_TWO: Final = "two cores for everybody"


def _judge(report: Report) -> None:
    def ratio(setting: str, kind: str, name: str) -> float:
        """Of rounds: each is measured against its own quiet part."""
        quiet = report.values(f"{setting}: no logins", name)
        loud = report.values(f"{setting}: {AT_A_TIME} at a time by {kind}", name)
        return statistics.median(one / other for one, other in zip(loud, quiet, strict=True))

    for setting in (_ONE, _TWO):
        for kind in _BESIDE:
            for name in ("p50", "mean", "p99"):
                text = f"{setting}: {name} while {AT_A_TIME} sign in by {kind}, of that without"
                report.bars.append(Bar(text, ratio(setting, kind, name), 2.0, "times"))
    handshake = report.median("a TLS handshake, both ends", "CPU")
    for words in _WORDS.values():
        spent = report.median(words, "CPU")
        report.notes.append(f"{words}: the CPU of {spent / handshake:.1f} TLS handshakes")
    theirs = report.median(f"{_WORDS['oidc']}: oidc-provider", "CPU")
    spent = report.median(_WORDS["oidc"], "CPU")
    report.bars.append(
        Bar("CPU of such a login, of oidc-provider's own", spent / theirs, 2.0, "times")
    )


def run(rounds: int, seconds: int) -> Report:
    """Measure everything; takes some minutes."""
    tools.ensure(("nginx", "taskset", "chrt", "setsid", "node", "npm"))
    report = Report(
        f"Logins, {AT_A_TIME} at a time, and {RATE} requests/s of those who are signed in "
        "(HTTP/1.1 over TLS, three Policies, 100 Sessions in rotation)"
    )
    with _folder() as folder:
        for setting, alone in ((_ONE, True), (_TWO, False)):
            bench = IdentityBench(folder / setting.split()[0], report, rounds, seconds)
            bench.run(setting, alone=alone)
    _judge(report)
    return report
