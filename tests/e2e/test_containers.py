"""A Service before a container: what its callers and its owner meet until it runs, and after.

The Cluster has a network namespace of its own with an address that is not the machine's, where a
real server stands for the container; a small stand-in of the controller tells of it by the feed.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from octelium.controller.status import ContainerEvent, ContainerStatus
from octelium.controller.view import View
from octelium.controller.wire import TOPIC, Report
from octelium.replica.committed import CommittedRevision
from octelium.replica.follower import Follower
from tests.e2e.cluster import DOMAIN, Cluster, wait_for
from tests.peers.namespaces import Namespace, network
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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
    """Tells of one container."""

    def __init__(self, follower: Follower, view: View) -> None:
        self._follower = follower
        self._view = view

    async def service_uid(self) -> str:
        async with asyncio.timeout(60):
            while not self._view.complete or not self._view.wants():
                await asyncio.sleep(0.01)
        ((uid, config),) = self._view.wants()
        assert config == ""
        return uid

    def tell(self, *statuses: ContainerStatus) -> None:
        """Tell these, or only that it is there."""
        assert self._follower.send(TOPIC, Report("", True, statuses).encode())


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


@contextlib.asynccontextmanager
async def controller(place: Place) -> AsyncIterator[Controller]:
    view, committed = View(), CommittedRevision.create()
    path = place.cluster.data / "run/controller/feed.sock"
    follower = Follower(path, view, committed, role="controller", worker="stand-in")
    follower.start()
    try:
        yield Controller(follower, view)
    finally:
        follower.close()
        committed.close()


async def test_a_container_from_its_first_start_to_its_end(place: Place) -> None:
    cluster = place.cluster
    cluster.apply(SERVICE)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = sys.executable, "-I", "-m", "http.server", "--bind", ADDRESS, str(PORT)
    async with controller(place) as told:
        uid = await told.service_uid()
        told.tell()
        wait_for(lambda: "Service Unavailable: boxed is starting" in place.get()[1])
        status, text = place.get()
        assert status == 503
        assert "\nretry-after: 5\n" in text.lower().replace("\r", "")
        assert "Service Unavailable: boxed is starting. Try again in a moment." in text
        _, page = place.get("-H", "Accept: text/html")
        assert "<h1>boxed is starting</h1>" in page
        told.tell()
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
