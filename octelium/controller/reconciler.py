"""Makes the objects of one container what they are to be, by as few writes as that takes.

An object is written when a field that the controller owns is not as wanted. It is read from the
server before, so that neither a cache that lags behind nor somebody else's object of the same name
is written over. A write that fails is tried again by the kind of its failure; what the server does
not want is tried again slowly, unless the wish changes.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from octelium.controller.backoff import Backoff
from octelium.controller.drift import additions, drift, owned_by
from octelium.controller.kube.api import MANAGER
from octelium.controller.kube.errors import (
    AbsentError,
    BusyError,
    ConflictError,
    KubeError,
)
from octelium.controller.kube.kinds import DEPLOYMENT, SERVICE, Kind, kind_of
from octelium.controller.objects.names import (
    APPLIED,
    CLUSTER_LABEL,
    CONFIG_LABEL,
    UID_LABEL,
    key_of,
)
from octelium.controller.observed import rolled_out
from octelium.controller.orphans import leftovers, remains

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.controller.managed import Key
    from octelium.controller.objects.outcome import Desired

AT_ONCE = 5
"""Conflicts in a row after which even they wait."""
UNTOLD = 3
"""Failures in a row that may pass before people are told."""
SLOW = 60.0
SLOWEST = 300.0
"""Seconds after which what was refused is tried again, at first and at most."""
FRIENDLY = 3
"""Corrections of foreign changes in a row that are made at once."""
QUIET = 300.0
"""Seconds after which a correction starts a new row."""

Object = dict[str, Any]


class NotNowError(Exception):
    """Nothing may be written: another controller leads, or this one ends."""


class Objects(Protocol):
    """The calls that a reconciler needs."""

    async def get(self, kind: Kind, name: str) -> Object:
        """One object."""

    async def apply(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        """Server-side apply."""

    async def merge(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        """JSON merge patch."""

    async def delete(self, kind: Kind, name: str, uid: str, *, within: float | None = None) -> None:
        """Delete the object of this uid."""


class Cache(Protocol):
    """What is known of the objects of one kind."""

    def of(self, group: Key) -> dict[str, Object]:
        """Those of a container, by name."""

    def put(self, value: Object) -> None:
        """Take over what the server answered."""

    def going(self, name: str) -> None:
        """An object has been deleted, and may take a while to be gone."""


class Gate(Protocol):
    """Who says whether something may be written, and waits for it when all is to end."""

    async def write(self, call: Callable[[float], Awaitable[Any]]) -> Any:
        """Do `call`, with the seconds it may take. Raises NotNowError if nothing may be written."""


@dataclass(slots=True)
class Course:
    """How it went with one container so far."""

    reason: str = ""
    message: str = ""
    wish: tuple[object, ...] | None = None
    """What `held_until` is about; None if it is about any wish."""
    held_until: float = 0.0
    conflicts: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    slowly: Backoff = field(default_factory=lambda: Backoff(SLOW, SLOWEST))
    made: dict[tuple[Kind, str], str] = field(default_factory=dict)
    """The fingerprint of each object as it was applied last."""
    corrections: int = 0
    corrected: float = 0.0


class Reconciler:
    """Brings containers to what is wanted, one call per container and change."""

    def __init__(
        self,
        api: Objects,
        caches: dict[Kind, Cache],
        pods: Cache,
        gate: Gate,
        cluster: str,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._caches = caches
        self._pods = pods
        self._gate = gate
        self._cluster = cluster
        self._now = now
        self._courses: dict[Key, Course] = {}

    def course(self, key: Key) -> Course:
        """How it went with a container."""
        return self._courses.setdefault(key, Course())

    def recovered(self) -> list[Key]:
        """The server answers again: the containers that wait for that need not wait longer."""
        found = []
        for key, course in self._courses.items():
            if course.held_until and course.wish is None:
                course.held_until = 0.0
                found.append(key)
        return found

    async def reconcile(self, key: Key, desired: Desired | None) -> float | None:
        """Do what is to be done for a container; None as `desired` takes it away.

        Returns the seconds after which to look again, None if only a change matters.
        """
        course = self.course(key)
        wait = course.held_until - self._now()
        if wait > 0 and (course.wish is None or course.wish == _wish(desired)):
            return wait
        try:
            if desired is None:
                await self._remove(key)
                if not self._found(key):
                    self._courses.pop(key, None)
                return None
            again = await self._keep(key, course, desired)
        except NotNowError:
            return None
        except KubeError as error:
            return self._failed(course, desired, error)
        course.conflicts = 0
        course.backoff.reset()
        return again

    def broken(self, key: Key) -> float:
        """There is a fault in this program about a container: seconds after which to try again."""
        course = self.course(key)
        wait = course.slowly.next()
        course.reason = "Internal"
        course.message = "a fault of the controller, which its log describes"
        course.wish, course.held_until = None, self._now() + wait
        return wait

    async def _keep(self, key: Key, course: Course, desired: Desired) -> float | None:
        if desired.problems:
            course.reason = desired.problems[0].reason
            course.message = "; ".join(problem.message for problem in desired.problems)
            return await self._bound(key, course, desired)
        for value in desired.objects:
            again = await self._settle(key, course, desired, value)
            if again is not None:
                return again or None
        course.reason = course.message = ""
        course.held_until = 0.0
        course.slowly.reset()
        found = self._found(key)
        wanted = {(kind_of(value), value["metadata"]["name"]) for value in desired.objects}
        deployments = [one for kind, one in found if kind is DEPLOYMENT]
        settled = len(deployments) == 1 and rolled_out(deployments[0], self._pods.of(key).values())
        for kind, value in leftovers(found, wanted, settled=settled):
            await self._delete(key, kind, value)
            course.made.pop((kind, value["metadata"]["name"]), None)
        return None

    async def _bound(self, key: Key, course: Course, desired: Desired) -> float | None:
        """Apply the NetworkPolicy to what runs although it cannot be what is wanted.

        Not if that has another port: it must stay in reach.
        """
        runs = self._caches[DEPLOYMENT].of(key)
        services = self._caches[SERVICE].of(key).values()
        ports = [port for one in services for port in (one.get("spec") or {}).get("ports") or []]
        policy = desired.policy
        if policy is None or not runs:
            return None
        (rule,) = policy["spec"]["ingress"]
        if not all(_admits(rule, port) for port in ports):
            return None
        return await self._settle(key, course, desired, policy) or None

    async def _settle(
        self, key: Key, course: Course, desired: Desired, value: Object
    ) -> float | None:
        """Have one object as wanted. Not None if the next ones must wait: 0 for a change."""
        kind, name = kind_of(value), str(value["metadata"]["name"])
        known = self._caches[kind].of(key).get(name)
        if known is not None and self._fits(value, known):
            return None
        try:
            live: Object | None = await self._api.get(kind, name)
        except AbsentError:
            live = None
        if live is not None:
            if not self._is_ours(value, live):
                return self._hold(
                    course,
                    desired,
                    "NameTaken",
                    f"there is a {kind.name} {name} that was not made for this container: "
                    "delete or rename it",
                )
            if live["metadata"].get("deletionTimestamp"):
                course.reason, course.message = "Removing", f"the {kind.name} {name} is going"
                self._caches[kind].put(live)
                return 0.0
            if self._fits(value, live):
                self._caches[kind].put(live)
                return None
        mark = _mark(value)
        corrects = course.made.get((kind, name)) == mark or (
            live is not None and _mark(live) == mark
        )
        if corrects and (wait := self._contested(course)) > 0:
            paths = ", ".join(drift(value, live)[:3]) if live is not None else "its existence"
            course.reason = "Contested"
            course.message = f"somebody changes {paths} of the {kind.name} {name} again and again"
            return wait
        body = value
        if live is not None:
            body = {**value, "metadata": {**value["metadata"], "uid": live["metadata"]["uid"]}}
        answer = await self._gate.write(lambda within: self._api.apply(kind, body, within=within))
        if added := additions(value, answer):
            # No apply takes away what others have added to a list with keys.
            answer = await self._take_away(kind, value, answer, added)
        self._caches[kind].put(answer)
        course.made[kind, name] = mark
        if corrects:
            course.corrections += 1
            course.corrected = self._now()
        if paths_left := drift(value, answer):
            return self._hold(
                course,
                desired,
                "Changed",
                f"the API server changes {', '.join(paths_left[:3])} of the {kind.name} {name} "
                "as it is written: look at its admission policies",
            )
        return None

    async def _take_away(
        self, kind: Kind, value: Object, found: Object, paths: tuple[str, ...]
    ) -> Object:
        """Give fields of the specification, by their paths, nothing but what is wanted."""
        names = [path.removeprefix("spec.") for path in paths]
        meta = {name: found["metadata"][name] for name in ("name", "uid", "resourceVersion")}
        patch = {"metadata": meta, "spec": {name: value["spec"][name] for name in names}}
        answer: Object = await self._gate.write(
            lambda within: self._api.merge(kind, patch, within=within)
        )
        return answer

    async def _remove(self, key: Key) -> None:
        pods = len(self._pods.of(key))
        for kind, value in remains(self._found(key), pods=pods):
            await self._delete(key, kind, value)

    async def _delete(self, key: Key, kind: Kind, value: Object) -> None:
        """Delete an object of a container, if it still says that it is of that one."""
        meta = value["metadata"]
        # An absent one is gone already, and the watch is about to say so.
        with contextlib.suppress(AbsentError):
            live = await self._api.get(kind, meta["name"])
            labels = live["metadata"].get("labels") or {}
            if (labels.get(CLUSTER_LABEL), key_of(labels)) != (self._cluster, key):
                self._caches[kind].put(live)
                return
            await self._gate.write(
                lambda within: self._api.delete(kind, meta["name"], meta["uid"], within=within)
            )
        # Until then it is not deleted a second time.
        self._caches[kind].going(meta["name"])

    def _found(self, key: Key) -> list[tuple[Kind, Object]]:
        return [
            (kind, value)
            for kind, cache in self._caches.items()
            for value in cache.of(key).values()
        ]

    def _fits(self, value: Object, found: Object) -> bool:
        return (
            not found["metadata"].get("deletionTimestamp")
            and not drift(value, found)
            and owned_by(found, MANAGER)
        )

    def _is_ours(self, value: Object, live: Object) -> bool:
        """Whether a live object was made for this container, even if labels were taken from it.

        One that says another Cluster, Service or config is not: no name gives a right to it.
        """
        labels = live["metadata"].get("labels") or {}
        wanted: Object = value["metadata"]["labels"]
        if all(labels.get(name) == text for name, text in wanted.items()):
            return True
        return owned_by(live, MANAGER) and all(
            labels.get(name) in (None, wanted[name])
            for name in (CLUSTER_LABEL, UID_LABEL, CONFIG_LABEL)
        )

    def _contested(self, course: Course) -> float:
        """Seconds to wait before one more correction, 0 if it may be made now."""
        since = self._now() - course.corrected
        if since > QUIET:
            course.corrections = 0
        if course.corrections < FRIENDLY:
            return 0.0
        return min(SLOW, 2.0 ** (course.corrections - FRIENDLY)) - since

    def _hold(self, course: Course, desired: Desired | None, reason: str, message: str) -> float:
        wait = course.slowly.next()
        course.reason, course.message = reason, message
        course.wish, course.held_until = _wish(desired), self._now() + wait
        return wait

    def _failed(self, course: Course, desired: Desired | None, error: KubeError) -> float:
        if isinstance(error, ConflictError) and course.conflicts < AT_ONCE:
            course.conflicts += 1
            return 0.0
        if isinstance(error, BusyError | ConflictError):
            asked = error.retry_after if isinstance(error, BusyError) else 0.0
            wait = course.backoff.next(asked)
            if course.backoff.failures >= UNTOLD:
                course.reason = "Unreachable" if not error.code else "Busy"
                course.message = str(error)
            course.wish, course.held_until = None, self._now() + wait
            return wait
        reason = "Forbidden" if error.code in (401, 403) else "Refused"
        return self._hold(course, desired, reason, f"Kubernetes refuses it: {error}")


def _wish(desired: Desired | None) -> tuple[object, ...] | None:
    return None if desired is None else desired.mark


def _admits(rule: Object, port: Object) -> bool:
    """Whether a rule of a NetworkPolicy lets through what a port of a Service takes."""
    return any(
        (one["port"], one["protocol"]) == (port.get("targetPort"), port.get("protocol"))
        for one in rule["ports"]
    )


def _mark(value: Object) -> str:
    return str((value["metadata"].get("annotations") or {}).get(APPLIED, ""))
