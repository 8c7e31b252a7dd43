"""The process of `octelium controller`: keeps containers as the Cluster's Services ask for them.

It is apart from the Cluster's own processes. What it knows comes through a socket on which it can
be nothing else, and what it may do is what its service account may. So it is where nothing from the
Internet arrives, and what the Internet reaches has no account.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Final

import uvloop

from octelium.cluster.child import be_private, log_level, name_process
from octelium.cluster.health import Health, health_app
from octelium.cluster.signals import stop_signals
from octelium.cluster.sockets import listen_tcp
from octelium.cluster.web import WebServer
from octelium.controller.controller import Controller, Pace
from octelium.controller.kube.account import MOUNTED, Account
from octelium.controller.kube.api import Api
from octelium.controller.lease import identity_of
from octelium.controller.objects.desired import desired
from octelium.controller.view import View
from octelium.controller.wire import TOPIC, reports
from octelium.http.tasks import spawn
from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import CONTROLLER, Follower
from octelium.visibility.metrics import Registry

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from octelium.cluster.settings import Address
    from octelium.controller.objects.settings import Settings as ObjectSettings
    from octelium.controller.status import ContainerStatus

_LOG = logging.getLogger(__name__)
HEARTBEAT: Final = 5.0
"""Seconds between two words to the Cluster, at most."""


class Deployer:
    """Everything of the process, put together.

    Args:
        place: the socket where control listens for it.
        api: the API server, seen in the namespace of the containers.
        identity: its name among several controllers.
        objects: what the objects of all containers have in common.
    """

    def __init__(
        self,
        place: Path,
        api: Api,
        identity: str,
        objects: ObjectSettings,
        *,
        pace: Pace | None = None,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._api = api
        self._identity = identity_of(identity)
        self._objects = objects
        self._pace = pace
        self._heartbeat = heartbeat
        # Nobody reads what it has taken over: it publishes for itself alone.
        self._committed = CommittedRevision.create()
        self._view = View()
        self._view.listeners.append(self._followed)
        self._follower = Follower(
            place, self._view, self._committed, role=CONTROLLER, worker=CONTROLLER
        )
        self._controller: Controller | None = None
        self._cluster = ""
        self._another = asyncio.Event()
        self._lost = False

    def cluster_trouble(self) -> str:
        """What keeps it from knowing what is wanted; empty if nothing does."""
        if not self._follower.connected:
            return "the Cluster is not connected"
        return "" if self._view.complete else "the Cluster has not told everything yet"

    def kubernetes_trouble(self) -> str:
        """What keeps it from knowing what there is, or from writing; empty if nothing does."""
        controller = self._controller
        if controller is not None and (controller.synced or controller.trouble):
            return controller.trouble
        return "it is not known yet what there is"

    def series(self) -> dict[str, float]:
        """Counters, as `visibility.metrics` has them."""
        controller = self._controller
        return {
            "octelium_containers_wanted": len(self._view.wants()),
            "octelium_controller_leading": controller is not None and controller.leading,
            "octelium_replica_revision": self._view.revision,
        }

    async def run(self) -> None:
        """Work until cancelled; then give the Lease back."""
        self._follower.start()
        beating = spawn(self._beat(), name="the controller's heartbeat")
        try:
            while True:
                self._another.clear()
                if cluster := self._view.cluster:
                    await self._keep(cluster)
                else:
                    await self._another.wait()
        finally:
            beating.cancel()
            self._follower.close()
            await self._api.close()
            self._committed.close()

    async def _keep(self, cluster: str) -> None:
        """Keep the containers of one Cluster until it is another that is followed."""
        _LOG.info("containers of Cluster %s in namespace %s", cluster, self._api.namespace)
        self._cluster = cluster
        self._controller = Controller(
            self._api,
            cluster,
            self._identity,
            wants=self._view.wants,
            complete=lambda: self._view.complete and self._view.cluster == cluster,
            build=lambda managed: desired(managed, cluster, self._objects),
            tell=self._tell,
            pace=self._pace,
        )
        running = spawn(self._controller.run(), name="the controller")
        waiting = spawn(self._another.wait(), name="another Cluster")
        try:
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for task in (running, waiting):
                task.cancel()
            await asyncio.wait((running, waiting))
            self._controller = None

    def _followed(self, anew: bool) -> None:
        """The feed has changed what is wanted, or tells everything from the beginning."""
        controller = self._controller
        if self._view.cluster and self._view.cluster != self._cluster:
            self._another.set()
        elif controller is not None and self._view.complete:
            keys = self._view.take_changed()
            if anew:
                controller.changed()
                controller.again()
            else:
                controller.changed(keys)

    def _tell(self, statuses: Sequence[ContainerStatus]) -> None:
        controller = self._controller
        if controller is None:
            return
        for report in reports(controller.trouble, statuses, leading=controller.leading):
            if not self._follower.send(TOPIC, report.encode()):
                self._lost = True

    async def _beat(self) -> None:
        """Tell that it lives, and again what there was no room for."""
        while True:
            controller = self._controller
            if self._follower.connected and not self._follower.batch_bytes:
                if self._lost and controller is not None:
                    self._lost = False
                    controller.again()
                trouble = "" if controller is None else controller.trouble
                leading = controller is not None and controller.leading
                for report in reports(trouble, (), leading=leading):
                    self._follower.send(TOPIC, report.encode())
            await asyncio.sleep(self._heartbeat)


async def serve(
    deployer: Deployer, listeners: Sequence[socket.socket], stopped: asyncio.Event
) -> None:
    """Let a deployer work until `stopped`, and answer at `listeners` how it is.

    Raises:
        Exception: it cannot go on.
    """
    registry = Registry()

    def metrics() -> str:
        registry.update(CONTROLLER, deployer.series())
        return registry.render()

    health = Health(
        {
            "cluster": deployer.cluster_trouble,
            "kubernetes": deployer.kubernetes_trouble,
        }
    )
    pages = WebServer(health_app(health, metrics), listeners, name="web: health")
    if listeners:
        pages.start()
    running = spawn(deployer.run(), name="the controller's process")
    stopping = spawn(stopped.wait(), name="end of the controller")
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait((running, stopping))
        await pages.stop()


def run(
    place: Path,
    *,
    namespace: str,
    identity: str,
    health: Address | None,
    objects: ObjectSettings,
    account: Path | None,
) -> None:
    """Run the controller until SIGTERM.

    `place` is the socket of control; `account` is the folder of the service account's token, if it
    is not where Kubernetes has it.

    Raises:
        ValueError: there is no account.
        ListenError: the address of `health` is taken.
    """
    api = Api(Account.mounted(account or MOUNTED), namespace)
    listeners = [] if health is None else listen_tcp(health, "--health")
    name_process(f"oct-{CONTROLLER}")
    be_private()
    logging.basicConfig(
        level=log_level(),
        format=f"%(asctime)s {CONTROLLER} %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request

    async def main() -> None:
        async with stop_signals() as stopped:
            await serve(Deployer(place, api, identity, objects), listeners, stopped)

    uvloop.run(main())
