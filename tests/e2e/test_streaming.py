"""Bodies stream both ways without being held, whole and unchanged."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import DOMAIN
from tests.e2e.documents import credential, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.cluster import Cluster

SIZE = 64 << 20
GROWTH = 16 << 10
"""KiB by which a worker's memory may grow at most."""


@pytest.fixture(scope="module")
def streams(cluster: Cluster, upstream_port: int) -> Cluster:
    cluster.apply(
        workload("streamer"),
        service("streams", f"http://127.0.0.1:{upstream_port}", "allow-all"),
        credential("streamer-token", "streamer"),
    )
    return cluster


@pytest.fixture(scope="module")
def bearer(streams: Cluster) -> dict[str, str]:
    made = json.loads(
        streams.ctl("create", "credential", "streamer-token", "--rotate", "-o", "json")
    )
    return {"Authorization": f"Bearer {made['accessToken']['accessToken']}"}


def resident(cluster: Cluster) -> int:
    """The largest resident set among the workers, in KiB."""
    found = []
    for name, number in cluster.children().items():
        if name.startswith("worker"):
            with open(f"/proc/{number}/status") as status:  # noqa: PTH123  (one line of it)
                found += [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
    return max(found)


def test_an_upload_arrives_as_it_was_sent(streams: Cluster, bearer: dict[str, str]) -> None:
    piece = os.urandom(1 << 20)
    digest = hashlib.sha256(piece * (SIZE >> 20)).hexdigest()

    def body() -> Iterator[bytes]:
        for _ in range(SIZE >> 20):
            yield piece

    with streams.http() as http:
        http.get(streams.url("streams"), headers=bearer)
        before = resident(streams)
        answer = http.post(streams.url("streams"), headers=bearer, content=body())
    assert answer.json()["received"] == SIZE
    assert answer.json()["sha256"] == digest
    assert resident(streams) - before < GROWTH


def test_a_download_that_is_read_slowly_is_not_held(
    streams: Cluster, bearer: dict[str, str]
) -> None:
    received = 0
    with streams.http() as http:
        before = resident(streams)
        url = streams.url("streams", f"/size/{SIZE}")
        with http.stream("GET", url, headers=bearer) as answer:
            for piece in answer.iter_raw():
                received += len(piece)
                if received == len(piece):
                    http.get(streams.url("streams"), headers=bearer)  # others are served meanwhile
    assert received == SIZE
    assert resident(streams) - before < GROWTH


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_uploads_and_downloads(
    streams: Cluster, bearer: dict[str, str], tmp_path: Path, version: str
) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(os.urandom(3 << 20))
    words = ["curl", "-sS", version, "--cacert", str(streams.data / "ca.pem"), "--max-time", "60"]
    words += ["--resolve", f"streams.{DOMAIN}:{streams.port}:127.0.0.1"]
    words += ["-H", f"Authorization: {bearer['Authorization']}"]
    up = [*words, "--data-binary", f"@{sent}", streams.url("streams")]
    echoed = json.loads(subprocess.run(up, capture_output=True, check=True).stdout)
    assert echoed["sha256"] == hashlib.sha256(sent.read_bytes()).hexdigest()
    down = [*words, "-o", "/dev/null", "-w", "%{size_download} %{http_code}"]
    done = subprocess.run(
        [*down, streams.url("streams", "/size/3000000")], capture_output=True, check=True
    )
    assert done.stdout == b"3000000 200"
