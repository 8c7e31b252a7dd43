"""Keeps the containers that Services ask for, in one namespace of Kubernetes.

It follows what is wanted and what there is, and looks again at each container of which either has
changed. It writes only while it holds the Lease and knows everything that is wanted; a controller
that does not hold the Lease goes on following, so that it is ready when it gets it.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.controller.kube.errors import AbsentError, RefusedError
from octelium.controller.kube.informer import RESYNC, SILENCE, Informer
from octelium.controller.kube.kinds import DEPLOYMENT, EVENT, OWNED, POD, SERVICE, Kind
from octelium.controller.lease import DEADLINE, DURATION, RETRY, Election
from octelium.controller.objects.names import (
    CLUSTER_LABEL,
    MANAGER,
    MANAGER_LABEL,
    key_of,
    object_name,
)
from octelium.controller.objects.outcome import Desired, Problem
from octelium.controller.observed import observe, trimmed_event, trimmed_owned, trimmed_pod
from octelium.controller.places import Places
from octelium.controller.reconciler import NotNowError, Reconciler
from octelium.controller.status import ContainerStatus
from octelium.controller.teller import EVENTS_EVERY, EVERY, Teller
from octelium.controller.work_queue import WorkQueue
from octelium.http.tasks import spawn
from octelium.schema.containers import MAX_CONTAINERS, OBJECT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence

    from octelium.controller.kube.api import Api
    from octelium.controller.managed import Key, Managed

_LOG = logging.getLogger(__name__)

LEASE_PREFIX = "octelium-controller-"
WORKERS = 4
"""Containers that are worked at at the same time."""
ENDING = 5.0
"""Seconds that writes under way have when the controller ends."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds, and how much happens at once."""

    duration: float = DURATION
    deadline: float = DEADLINE
    retry: float = RETRY
    resync: float = RESYNC
    silence: float = SILENCE
    every: float = EVERY
    events_every: float = EVENTS_EVERY
    workers: int = WORKERS


class Controller:
    """One controller of the Cluster `cluster`; `identity` is its own among several.

    `wants` gives what is wanted now, and `complete` whether that is everything: before that
    nothing is written. `build` makes the objects of a container, in a thread of its own; they are
    made anew each time, so that only what Kubernetes has is kept. `tell` is handed what has become
    of containers, about once a second, while this controller leads. It keeps `most` containers at
    a time: those that exist, then those that come first.
    """

    def __init__(
        self,
        api: Api,
        cluster: str,
        identity: str,
        *,
        wants: Callable[[], Mapping[Key, Managed]],
        complete: Callable[[], bool],
        build: Callable[[Managed], Desired],
        tell: Callable[[Sequence[ContainerStatus]], None],
        pace: Pace | None = None,
        most: int = MAX_CONTAINERS,
    ) -> None:
        pace = pace or Pace()
        self._api = api
        self._wants = wants
        self._complete = complete
        self._build = build
        self._pace = pace
        # Secrets are stretched while objects are made: that is no work for the event loop.
        self._builder = ThreadPoolExecutor(1, "build")
        self._places = Places(most)
        self._queue: WorkQueue[Key] = WorkQueue()
        self._writing = 0
        self._ending = False
        self._known = False
        self._still = asyncio.Event()
        self._teller = Teller(self._state, tell, every=pace.every, events_every=pace.events_every)
        self.election = Election(
            api,
            LEASE_PREFIX + cluster,
            identity,
            duration=pace.duration,
            deadline=pace.deadline,
            retry=pace.retry,
        )
        self.election.listeners.append(self._leads)
        self.election.troubled.append(self.again)
        self._cluster = cluster
        selector = f"{CLUSTER_LABEL}={cluster},{MANAGER_LABEL}={MANAGER}"
        self._owned = {
            kind: self._informer(kind, selector, self._group, trimmed_owned) for kind in OWNED
        }
        self._pods = self._informer(POD, f"{CLUSTER_LABEL}={cluster}", self._group, trimmed_pod)
        self._events = Informer(
            api,
            EVENT,
            "",
            group=_about,
            heard=self._happened,
            trim=trimmed_event,
            resync=pace.resync,
            silence=pace.silence,
        )
        self._reconciler = Reconciler(api, dict(self._owned), self._pods, self, cluster)

    def changed(self, keys: Iterable[Key] | None = None) -> None:
        """Look at these containers again, or at all: others are wanted, or all are known now.

        Those that are named are told of in any case: what was told of them counts no more.
        """
        if keys is None:
            for key in self._everything():
                self._queue.add(key)
                self._teller.mark(key)
        for key in keys or ():
            self._queue.add(key)
            self._teller.anew(key)

    def again(self) -> None:
        """Tell everything anew: who is told has lost what it was told."""
        self._teller.again(tuple(self._wants()))

    @property
    def leading(self) -> bool:
        """Whether this one writes."""
        return self.election.leading

    @property
    def synced(self) -> bool:
        """Whether everything that is ours in the namespace is known."""
        return self._pods.synced and all(one.synced for one in self._owned.values())

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done at this moment."""
        return self.synced and self._queue.idle

    @property
    def trouble(self) -> str:
        """What keeps the controller from its work, for people; empty if nothing does."""
        for informer in self._informers():
            if informer.trouble is not None:
                return f"{informer.kind.plural}: {informer.trouble}"
        if self.election.trouble is not None:
            return f"leases: {self.election.trouble}"
        return ""

    async def run(self) -> None:
        """Work until cancelled; then end what is being written, and give the Lease back."""
        tasks = [spawn(self.election.run(), name="controller lease")]
        tasks += [
            spawn(one.run(), name=f"controller {one.kind.plural}") for one in self._informers()
        ]
        tasks += [
            spawn(self._work(), name=f"controller worker {number}")
            for number in range(self._pace.workers)
        ]
        tasks.append(spawn(self._resync(), name="controller resync"))
        tasks.append(spawn(self._teller.run(), name="controller teller"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise RuntimeError("a part of the controller ended")
        finally:
            self._ending = True
            try:
                if self._writing:
                    async with asyncio.timeout(ENDING):
                        await self._still.wait()
            except TimeoutError:
                _LOG.warning("a write is given up, as the controller ends")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._builder.shutdown(wait=False, cancel_futures=True)
            await self.election.release()

    async def write(self, call: Callable[[float], Awaitable[Any]]) -> Any:
        """Do `call` with the seconds that it may take, if this controller may write now."""
        within = self.election.write_time
        if within <= 0 or self._ending or not self._complete() or not self.synced:
            raise NotNowError
        self._writing += 1
        self._still.clear()
        try:
            return await call(min(within, self._pace.deadline))
        finally:
            self._writing -= 1
            if not self._writing:
                self._still.set()

    def _informer(
        self,
        kind: Kind,
        selector: str,
        group: Callable[[Object], Hashable | None],
        trim: Callable[[Object], Object],
    ) -> Informer:
        informer = Informer(
            self._api,
            kind,
            selector,
            group=group,
            heard=self._heard,
            trim=trim,
            resync=self._pace.resync,
            silence=self._pace.silence,
        )
        informer.recovered.append(self._recovered)
        informer.listed.append(self._listed)
        return informer

    def _informers(self) -> tuple[Informer, ...]:
        return (*self._owned.values(), self._pods, self._events)

    def _group(self, value: Object) -> Hashable | None:
        labels = value["metadata"].get("labels") or {}
        if labels.get(CLUSTER_LABEL) != self._cluster:
            return None
        return key_of(labels)

    def _heard(self, key: Any) -> None:
        self._queue.add(key)
        self._teller.mark(key)

    def _happened(self, about: Any) -> None:
        """An event tells something about an object: it belongs to the state of a container."""
        kind, name = about
        of_kind = self._pods if kind == POD.name else self._owned[DEPLOYMENT]
        found: Any = of_kind.objects.get(name)
        if found is not None:
            self._teller.mark(found[0])

    def _recovered(self) -> None:
        for key in self._reconciler.recovered():
            self._queue.add(key)

    def _leads(self, leading: bool) -> None:
        if leading:
            self._begin()
            self.again()

    def _refused(self) -> str:
        """Why there can be no leader at all; empty if there may be one."""
        trouble = self.election.trouble
        if self.leading or not isinstance(trouble, AbsentError | RefusedError):
            return ""
        return f"Kubernetes lets no controller work here: {trouble}"

    def _begin(self) -> None:
        """Look at everything; what exists has a place before what does not."""
        there: Any = self._owned[DEPLOYMENT].groups
        self._places.begin(there)
        self.changed()

    def _everything(self) -> Iterable[Key]:
        """What is wanted, in its order, and what there is."""
        keys: dict[Any, None] = dict.fromkeys(self._wants())
        for informer in self._owned.values():
            keys.update(dict.fromkeys(informer.groups))
        return keys

    def _listed(self) -> None:
        """One more kind is known: what could not be done before may be done now."""
        if self.synced and not self._known:
            self._known = True
            self._begin()

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._pace.resync)
            self.changed()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            again: float | None = None
            try:
                if self.leading and self.synced and self._complete():
                    desired = await self._desired(key)
                    again = await self._reconciler.reconcile(key, desired)
                    self._teller.mark(key)
                    if desired is None and key not in self._owned[DEPLOYMENT].groups:
                        self.changed(self._places.leave(key))
            except Exception:  # noqa: BLE001 - one container must not end what keeps all others
                _LOG.exception("config %r of Service %s cannot be kept", key[1], key[0])
                again = self._reconciler.broken(key)
                self._teller.mark(key)
            finally:
                self._queue.done(key)
            if again is not None:
                self._queue.add(key, again)

    async def _desired(self, key: Key) -> Desired | None:
        managed = self._wants().get(key)
        if managed is None:
            return None
        name = object_name(managed)
        if not self._places.take(key):
            problem = Problem(
                "TooMany",
                f"there are {self._places.most} containers already, as many as a Cluster may have: "
                "remove others",
            )
            return Desired(name, problems=(problem,))
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._builder, self._build, managed)
        except ValueError as error:
            return Desired(name, problems=(Problem("Invalid", str(error)),))

    def _state(self, key: Key) -> ContainerStatus | None:
        """How a container is; None if nobody is to be told."""
        managed = self._wants().get(key)
        if managed is None or not (self.synced and self._complete()):
            return None
        refused = self._refused()
        if not (self.leading or refused):
            return None
        name = object_name(managed)
        course = self._reconciler.course(key)
        pods = self._pods.of(key)
        events = [
            *self._events.of((DEPLOYMENT.name, name)).values(),
            *self._events.of(("ReplicaSet", name)).values(),
        ]
        for pod in pods:
            events += self._events.of((POD.name, pod)).values()
        return observe(
            ContainerStatus(
                *key,
                port=managed.container.port,
                desired=managed.container.replicas or 1,
                image=managed.container.image,
                reason="Refused" if refused else course.reason,
                message=refused or course.message,
            ),
            deployment=self._owned[DEPLOYMENT].of(key).get(name),
            service=self._owned[SERVICE].of(key).get(name),
            pods=pods.values(),
            events=events,
        )


def _about(event: Object) -> Hashable | None:
    """What an event is about: the kind with the name of the object, or of its Deployment."""
    about = event.get("involvedObject") or {}
    kind, name = about.get("kind"), str(about.get("name") or "")
    if not name.startswith(OBJECT_PREFIX):
        return None
    if kind in (POD.name, DEPLOYMENT.name):
        return kind, name
    if kind == "ReplicaSet":
        return kind, name.rpartition("-")[0]
    return None
