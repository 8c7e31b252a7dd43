"""CPU of whole proxied requests, to which a decision is compared."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tools
from bench.contestants import Upstream, describe, furnish, pinned
from bench.load import Wrk
from bench.processes import Processes, cores, cpu, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTLE = 1.0
"""Seconds for log writers to finish what a burst left them."""


def requests(rounds: int, seconds: int) -> Iterator[float]:
    """Microseconds per request in each round, as `bench http` has them: HTTP/1.1 over TLS,
    keep-alive, 100 Sessions in rotation, the access log included.

    Raises:
        BenchError: it cannot be measured here.
    """
    tools.ensure(("nginx", "wrk", "taskset"), names=True)
    folder = Path(tempfile.mkdtemp(prefix="octelium-bench-"))
    load_core, core = cores()
    processes = Processes(folder)
    upstream = Upstream(folder, load_core)
    cluster = pinned(folder / "cluster", core)
    try:
        upstream.start(processes)
        cluster.start()
        wrk = Wrk(folder, load_core, furnish(cluster, upstream))
        octelium = describe(cluster)
        for _ in range(rounds):
            wrk.run(octelium.tls, 1, secure=True)
            time.sleep(_SETTLE)
            before = cpu(octelium.root)
            burst = wrk.run(octelium.tls, seconds, secure=True)
            time.sleep(_SETTLE)
            yield (cpu(octelium.root) - before) / burst.requests
    finally:
        processes.stop()
        if cluster.process is not None:
            stop(cluster.process)
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)
