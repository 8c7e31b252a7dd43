"""A Service before a container: what its callers and its owner meet until it runs, and after.

The Cluster has a network namespace of its own with an address that is not the machine's, where a
real server stands for the container; a small stand-in of the controller tells of it by the feed.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from octelium.controller.status import ContainerEvent, ContainerStatus
from octelium.controller.view import View
from octelium.controller.wire import TOPIC, Report
from octelium.http.tasks import spawn
from octelium.replica.committed import CommittedRevision
from octelium.replica.follower import Follower
from tests.e2e.cluster import DOMAIN, Cluster, wait_for
from tests.peers.namespaces import Namespace, network
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

ADDRESS, PORT = "10.43.0.9", 8080
IMAGE = "registry.example/wiki:1"
SERVICE = {
    "apiVersion": "core/v1",
    "kind": "Service",
    "metadata": {"name": "boxed"},
    "spec": {
        "mode": "WEB",
        "isPublic": True,
        "isAnonymous": True,
        "config": {"upstream": {"container": {"image": IMAGE, "port": PORT}}},
    },
}


class Place:
    """The Cluster and its namespace."""

    def __init__(self, cluster: Cluster, host: Namespace) -> None:
        self.cluster = cluster
        self.host = host

    def get(self, *words: str) -> tuple[int, str]:
        """Status, and head with body, of a request through the front door."""
        name = f"boxed.{DOMAIN}"
        done = self.host.run(
            program("curl", "curl"), "-s", "-i", "-w", "\n%{http_code}", *words,
            "--cacert", str(self.cluster.data / "ca.pem"),
            "--resolve", f"{name}:{self.cluster.port}:127.0.0.1",
            f"https://{name}:{self.cluster.port}/",
        )  # fmt: skip
        text, _, status = done.stdout.rpartition("\n")
        return int(status), text

    def answers(self, status: int) -> str:
        """Wait until the Service answers so."""

        def attempt() -> str:
            found, text = self.get()
            assert found == status, text
            return text

        return str(wait_for(attempt))


class Controller:
    """Tells of one container, and all the while that it is there: who is silent is not believed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._view, self._committed = View(), CommittedRevision.create()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(self._begin())

    def service_uid(self) -> str:
        self._do(self._is_complete())
        ((uid, config),) = self._view.wants()
        assert config == ""
        return uid

    def tell(self, *statuses: ContainerStatus) -> None:
        """Tell these, or only that it is there."""
        self._do(self._tell(*statuses))

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(120)

    async def _begin(self) -> None:
        self._follower = Follower(
            self._path, self._view, self._committed, role="controller", worker="stand-in"
        )
        self._follower.start()
        self._beating = spawn(self._beat(), name="the stand-in's heartbeat")

    async def _is_complete(self) -> None:
        while not self._view.complete or not self._view.wants():
            await asyncio.sleep(0.01)

    async def _tell(self, *statuses: ContainerStatus) -> None:
        assert self._follower.send(TOPIC, Report("", True, statuses).encode())

    async def _beat(self) -> None:
        while True:
            if self._follower.connected:
                await self._tell()
            await asyncio.sleep(1)

    async def _end(self) -> None:
        self._beating.cancel()
        await asyncio.wait((self._beating,))
        self._follower.close()
        self._committed.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("containers")
    with network(folder) as made:
        host = made.namespace("host")
        # As kube-proxy does; any other address of the host itself cannot be a container's.
        host.ip(
            "link add kube-ipvs0 type veth peer name kube-ipvs1",
            f"address add {ADDRESS}/32 dev kube-ipvs0",
            "link set kube-ipvs0 up",
        )
        cluster = Cluster(
            folder / "cluster",
            workers=1,
            within=host.enter,
            environment={"OCTELIUM_CONTROLLER": "on"},
        )
        try:
            cluster.start()
            cluster.login()
            yield Place(cluster, host)
        finally:
            cluster.remove()


def test_a_container_from_its_first_start_to_its_end(place: Place) -> None:
    cluster = place.cluster
    cluster.apply(SERVICE)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = sys.executable, "-I", "-m", "http.server", "--bind", ADDRESS, str(PORT)
    path = cluster.data / "run/controller/feed.sock"
    with contextlib.closing(Controller(path)) as told:
        uid = told.service_uid()
        told.tell()
        wait_for(lambda: "Service Unavailable: boxed is starting" in place.get()[1])
        status, text = place.get()
        assert status == 503
        assert "\nretry-after: 5\n" in text.lower().replace("\r", "")
        assert "Service Unavailable: boxed is starting. Try again in a moment." in text
        _, page = place.get("-H", "Accept: text/html")
        assert "<h1>boxed is starting</h1>" in page
        described = cluster.ctl("describe", "service", "boxed")
        assert "\n  default: starting, 0 of 1 replica\n" in described

        event = ContainerEvent("Pod boxed-1", "Warning", "Failed", "no such image", 3, 1)
        failing = ContainerStatus(
            uid, "", ADDRESS, PORT, desired=1, replicas=1, image=IMAGE,
            reason="ImagePullBackOff", message="ImagePullBackOff: no such image", events=(event,),
        )  # fmt: skip
        told.tell(failing)
        wait_for(lambda: "is not ready" in place.get()[1])
        assert "ImagePullBackOff" not in place.get()[1]  # nobody in particular asks
        described = cluster.ctl("describe", "service", "boxed")
        assert "  default: not ready, 0 of 1 replica" in described
        assert "    Reason:    ImagePullBackOff: no such image\n" in described
        assert "Warning  Failed x3  no such image\n" in described
        found = cluster.ctl("doctor", "boxed", check=False)
        assert "the container is not ready: ImagePullBackOff" in found
        assert "octeliumctl describe service boxed.default" in found

        with place.host.process(*server, cwd=place.cluster.folder, **quiet):
            ready = replace(
                failing, ready=True, ready_replicas=1, updated=1, reason="", message="", events=()
            )
            told.tell(ready)
            assert "Directory listing" in wait_for(lambda: served(place))
            assert "  default: ready, 1 of 1 replica\n" in cluster.ctl("describe", "svc", "boxed")
            told.tell(replace(ready, ready=False, ready_replicas=0, reason="Starting"))
            assert "boxed is starting" in place.answers(503)
            told.tell(ready)
            place.answers(200)
        log = cluster.ctl("logs", "--service", "boxed")
        assert "the container is not ready: ImagePullBackOff" in log
        cluster.ctl("delete", "service", "boxed")
        assert place.get()[0] == 404


def served(place: Place) -> str:
    """What the container serves, once it does."""
    status, text = place.get()
    assert status == 200, text
    return text
