"""The emulated controller of Deployments: ReplicaSets by template, rolled over within limits."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.events import record
from tests.peers.kubernetes.owning import (
    Seen,
    condition,
    drop_condition,
    owned,
    reference,
    versions,
)
from tests.peers.kubernetes.resources import of_kind
from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.verbs import Verbs

Object = dict[str, Any]
_BY = "deployment-controller"
_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def hash_of(template: Object) -> str:
    """A short name for a template."""
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _share(value: str | int, whole: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * whole
    return -(-exact // 100) if up else exact // 100


class Deployments:
    """All Deployments of a cluster."""

    def __init__(self, verbs: Verbs) -> None:
        self.verbs = verbs
        self._seen = Seen()

    def reconcile(self) -> None:
        """One pass."""
        for one in self.verbs.store.all(of_kind("Deployment")):
            if "deletionTimestamp" in one["metadata"]:
                continue
            sets = versions(owned(self.verbs.store, of_kind("ReplicaSet"), one))
            if self._seen.fresh(one, sets):
                self._one(one)

    def _one(self, one: Object) -> None:
        sets = owned(self.verbs.store, of_kind("ReplicaSet"), one)
        name = f"{one['metadata']['name']}-{hash_of(one['spec']['template'])}"
        newest = next((rs for rs in sets if rs["metadata"]["name"] == name), None)
        old = [rs for rs in sets if rs["metadata"]["name"] != name]
        if one["spec"].get("paused") and newest is None:
            self._status(one, sets, newest)
            return
        if newest is None:
            newest = self._create(one, name, sets)
        else:
            self._revise(one, newest, sets)
        self._roll(one, newest, old)
        self._tidy(one, old)
        self._status(one, owned(self.verbs.store, of_kind("ReplicaSet"), one), newest)

    def _revision(self, sets: list[Object]) -> int:
        return max(
            (int(rs["metadata"].get("annotations", {}).get(_REVISION, 0)) for rs in sets), default=0
        )

    def _create(self, one: Object, name: str, sets: list[Object]) -> Object:
        template = copy.deepcopy(one["spec"]["template"])
        digest = hash_of(one["spec"]["template"])
        template["metadata"].setdefault("labels", {})[_HASH] = digest
        selector = copy.deepcopy(one["spec"]["selector"])
        selector.setdefault("matchLabels", {})[_HASH] = digest
        given = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "labels": dict(template["metadata"]["labels"]),
                "annotations": {_REVISION: str(self._revision(sets) + 1)},
                "ownerReferences": [reference(one)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        namespace = one["metadata"]["namespace"]
        how = Write("kube-controller-manager")
        made = self.verbs.create(of_kind("ReplicaSet"), namespace, given, how).object
        self._annotate(one, made)
        return made

    def _revise(self, one: Object, newest: Object, sets: list[Object]) -> None:
        """A template that comes back is the newest revision."""
        last = self._revision(sets)
        known = int(newest["metadata"].get("annotations", {}).get(_REVISION, 0))
        if known < last:
            made = copy.deepcopy(newest)
            made["metadata"]["annotations"][_REVISION] = str(last + 1)
            how = Write("kube-controller-manager")
            written = self.verbs._replace(of_kind("ReplicaSet"), newest, made, how)
            self._annotate(one, written.object)

    def _annotate(self, one: Object, newest: Object) -> None:
        live = self._live(one)
        revision = newest["metadata"]["annotations"][_REVISION]
        made = copy.deepcopy(live)
        made["metadata"].setdefault("annotations", {})[_REVISION] = revision
        self.verbs._replace(of_kind("Deployment"), live, made, Write("kube-controller-manager"))

    def _live(self, one: Object) -> Object:
        meta = one["metadata"]
        live = self.verbs.store.get(of_kind(one["kind"]), meta["namespace"], meta["name"])
        assert live is not None
        return live

    def _scale(self, one: Object, given: Object, replicas: int) -> None:
        live = self._live(given)
        before = live["spec"]["replicas"]
        if before == replicas:
            return
        made = copy.deepcopy(live)
        made["spec"]["replicas"] = replicas
        how = Write("kube-controller-manager")
        self.verbs._replace(of_kind("ReplicaSet"), live, made, how)
        way = "up" if replicas > before else "down"
        name = live["metadata"]["name"]
        message = f"Scaled {way} replica set {name} from {before} to {replicas}"
        record(self.verbs, one, "Normal", "ScalingReplicaSet", message, _BY)

    def _roll(self, one: Object, newest: Object, old: list[Object]) -> None:
        wanted = one["spec"]["replicas"]
        strategy = one["spec"]["strategy"]
        if strategy["type"] == "Recreate":
            for rs in old:
                self._scale(one, rs, 0)
            if all(self._live(rs)["status"].get("replicas", 0) == 0 for rs in old):
                self._scale(one, newest, wanted)
            return
        rolling = strategy["rollingUpdate"]
        surge = _share(rolling["maxSurge"], wanted, up=True)
        missing = _share(rolling["maxUnavailable"], wanted, up=False)
        if not surge and not missing:
            missing = 1
        everything = [self._live(rs) for rs in (newest, *old)]
        room = wanted + surge - sum(rs["spec"]["replicas"] for rs in everything)
        mine = everything[0]["spec"]["replicas"]
        if mine > wanted or not old:
            self._scale(one, newest, wanted)
        elif room > 0:
            self._scale(one, newest, min(wanted, mine + room))
        self._shrink(one, newest, old, wanted - missing)

    def _shrink(self, one: Object, newest: Object, old: list[Object], least: int) -> None:
        """Old Pods go as far as enough stay available; those that are not ready at once."""
        everything = [self._live(rs) for rs in (newest, *old)]
        available = sum(rs["status"].get("availableReplicas", 0) for rs in everything)
        for rs in old:
            live = self._live(rs)
            here = live["spec"]["replicas"]
            good = live["status"].get("availableReplicas", 0)
            bad = max(0, here - good)
            spare = max(0, min(good, available - least))
            if bad + spare and here:
                self._scale(one, live, max(0, here - bad - spare))
                available -= spare

    def _tidy(self, one: Object, old: list[Object]) -> None:
        keep = one["spec"].get("revisionHistoryLimit", 10)
        idle = [
            rs
            for rs in map(self._live, old)
            if rs["spec"]["replicas"] == 0 and rs["status"].get("replicas", 0) == 0
        ]
        idle.sort(key=lambda rs: int(rs["metadata"].get("annotations", {}).get(_REVISION, 0)))
        for rs in idle[: max(0, len(idle) - keep)]:
            meta = rs["metadata"]
            self.verbs.delete(of_kind("ReplicaSet"), meta["namespace"], meta["name"], {}, dry=False)

    def _status(self, one: Object, sets: list[Object], newest: Object | None) -> None:
        live = self._live(one)
        if newest is not None:
            newest = self._live(newest)
        wanted = live["spec"]["replicas"]

        def total(name: str) -> int:
            return sum(int(rs["status"].get(name, 0)) for rs in sets)

        updated = 0 if newest is None else int(newest["status"].get("replicas", 0))
        good = total("availableReplicas")
        status: Object = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": total("replicas"),
            "updatedReplicas": updated,
            "readyReplicas": total("readyReplicas"),
            "availableReplicas": good,
            "unavailableReplicas": max(0, wanted - good),
        }
        status = {key: value for key, value in status.items() if value}
        if live["status"].get("conditions"):
            status["conditions"] = copy.deepcopy(live["status"]["conditions"])
        self._conditions(live, status, sets, newest)
        self.verbs._replace(
            of_kind("Deployment"),
            live,
            copy.deepcopy(live) | {"status": status},
            Write("kube-controller-manager", "status"),
        )

    def _conditions(
        self, live: Object, status: Object, sets: list[Object], newest: Object | None
    ) -> None:
        wanted, good = live["spec"]["replicas"], status.get("availableReplicas", 0)
        rolling = live["spec"]["strategy"].get("rollingUpdate", {})
        least = wanted - _share(rolling.get("maxUnavailable", 0), wanted, up=False)
        if good >= least:
            text = "Deployment has minimum availability."
            condition(status, "Available", "True", "MinimumReplicasAvailable", text)
        else:
            text = "Deployment does not have minimum availability."
            condition(status, "Available", "False", "MinimumReplicasUnavailable", text)
        refusals = [
            one
            for rs in sets
            for one in rs["status"].get("conditions", ())
            if one["type"] == "ReplicaFailure"
        ]
        if refusals:
            condition(
                status, "ReplicaFailure", "True", refusals[0]["reason"], refusals[0]["message"]
            )
        else:
            drop_condition(status, "ReplicaFailure")
        if newest is None:
            return
        name = newest["metadata"]["name"]
        done = status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted == good
        if done:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            condition(status, "Progressing", "True", "NewReplicaSetAvailable", text)
        else:
            text = f'ReplicaSet "{name}" is progressing.'
            condition(status, "Progressing", "True", "ReplicaSetUpdated", text)
