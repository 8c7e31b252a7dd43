"""Applying and listing 1,000 Services."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.processes import BenchError, stop
from bench.report import Bar, Report
from bench.tools import say
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import Api, Cluster

SERVICES: Final = 1000
_LISTINGS: Final = 5
_PAGE: Final = 1000
_METHOD: Final = "/octelium.api.main.core.v1.MainService/ListService"


def run(rounds: int) -> Report:
    """Every round is a Cluster of its own."""
    report = Report(f"{SERVICES:,} Services: octeliumctl apply, and ListService over raw gRPC")
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        folder = Path(tempfile.mkdtemp(prefix="octelium-bench-"))
        cluster = Cluster(folder, workers=1)
        try:
            cluster.start()
            _measure(cluster, report)
        finally:
            if cluster.process is not None:
                stop(cluster.process)
            cluster.remove()
            shutil.rmtree(folder, ignore_errors=True)
    report.bars.append(Bar("apply", report.median("apply", "time"), 5.0, "s"))
    listing = report.median("list", "time")
    report.bars.append(Bar("list, until the reply's last byte", listing, 50.0, "ms"))
    return report


def _measure(cluster: Cluster, report: Report) -> None:
    cluster.login()
    file = cluster.folder / "services.yaml"
    file.write_text("---\n".join(json.dumps(_service(number)) + "\n" for number in range(SERVICES)))
    started = time.perf_counter()
    cluster.ctl("apply", str(file))
    report.add("apply", "time", "s", time.perf_counter() - started)
    with cluster.channel() as channel:
        api = cluster.api(channel)
        before = _revisions(api)
        started = time.perf_counter()
        cluster.ctl("apply", str(file))
        report.add("apply again", "time", "s", time.perf_counter() - started)
        if _revisions(api) != before:
            raise BenchError("applying again changed something")
        if len(before) < SERVICES:
            raise BenchError(f"only {len(before)} Services were listed")
        for _ in range(_LISTINGS):
            report.add("list", "time", "ms", _list(api))


def _service(number: int) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": f"service-{number:04}", "displayName": f"Service {number}"},
        "spec": {
            "mode": "HTTP",
            "isPublic": True,
            "config": {"upstream": {"url": f"http://127.0.0.1:{20_000 + number}"}},
        },
    }


def _list(api: Api) -> float:
    """Milliseconds from the call until the page's bytes are here."""
    request = core.ListServiceOptions(common=meta.CommonListOptions(items_per_page=_PAGE))
    stub: Any = api.channel.unary_unary(_METHOD)
    started = time.perf_counter()
    stub(request.SerializeToString(), metadata=(("x-octelium-auth", api.access_token),), timeout=30)
    return (time.perf_counter() - started) * 1000


def _revisions(api: Api) -> dict[str, str]:
    """Name → resource version of the Services of the benchmark."""
    found: dict[str, str] = {}
    page = 0
    while True:
        options = meta.CommonListOptions(items_per_page=_PAGE, page=page)
        reply = api.core("ListService", core.ListServiceOptions(common=options))
        for item in reply.items:
            if item.metadata.name.startswith("service-"):
                found[item.metadata.name] = item.metadata.resource_version
        page += 1
        if not reply.list_response_meta.has_more:
            return found
