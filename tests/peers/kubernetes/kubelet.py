"""The emulated kubelet and scheduler: what becomes of Pods, as the test says."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from tests.peers.kubernetes.events import record
from tests.peers.kubernetes.owning import Seen, versions
from tests.peers.kubernetes.resources import of_kind
from tests.peers.kubernetes.store import now
from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers.kubernetes.verbs import Verbs

Object = dict[str, Any]
Fate = Literal["ready", "unready", "pull-failure", "crash", "pending"]
NODE = "node-1"


class Kubelet:
    """One node. `fates` by image; `default` for all others."""

    def __init__(self, verbs: Verbs) -> None:
        self.verbs = verbs
        self.default: Fate = "ready"
        self.fates: dict[str, Fate] = {}
        self.restarts: dict[str, int] = {}
        """How often the containers of an image have been started again."""
        self.changed: Callable[[], None] = lambda: None
        self._next = 9
        self._seen = Seen()

    def behave(self, image: str, fate: Fate, *, restarts: int | None = None) -> None:
        """What becomes of Pods whose first container has the image, now and later."""
        self.fates[image] = fate
        if restarts is not None:
            self.restarts[image] = restarts
        self.changed()

    def behave_all(self, fate: Fate) -> None:
        """What becomes of all other Pods."""
        self.default = fate
        self.changed()

    def reconcile(self) -> None:
        """One pass."""
        store = self.verbs.store
        sources = [
            one
            for kind in ("Secret", "ConfigMap", "PersistentVolumeClaim")
            for one in store.all(of_kind(kind))
        ]
        around = hash(versions(sources))
        for pod in store.all(of_kind("Pod")):
            meta = pod["metadata"]
            if "deletionTimestamp" in meta:
                if not meta.get("finalizers"):
                    self.verbs.store.remove(of_kind("Pod"), pod)
                continue
            image = pod["spec"]["containers"][0]["image"]
            fate = self.fates.get(image, self.default)
            if self._seen.fresh(pod, fate, self.restarts.get(image), around):
                self._one(pod)

    def _one(self, pod: Object) -> None:
        image = pod["spec"]["containers"][0]["image"]
        fate: Fate = self.fates.get(image, self.default)
        missing = list(self._missing_claims(pod))
        if fate == "pending" or missing:
            if not pod["spec"].get("nodeName"):
                why = missing[0] if missing else "0/1 nodes are available: 1 Insufficient cpu."
                self._unscheduled(pod, why)
            return
        if not pod["spec"].get("nodeName"):
            pod = self._bind(pod)
        status = copy.deepcopy(pod["status"])
        if "podIP" not in status:
            self._next += 1
            address = f"10.42.{self._next // 250}.{self._next % 250 + 1}"
            status |= {
                "hostIP": "127.0.0.1",
                "hostIPs": [{"ip": "127.0.0.1"}],
                "podIP": address,
                "podIPs": [{"ip": address}],
                "startTime": now(),
            }
        absent = next(self._missing_sources(pod), "")
        status["phase"] = "Running" if fate in ("ready", "unready", "crash") else "Pending"
        if absent:
            status["phase"] = "Pending"
        status["containerStatuses"] = [
            self._container(pod, one, fate, absent) for one in pod["spec"]["containers"]
        ]
        good = fate == "ready" and not absent
        self._conditions(status, pod, good)
        live = self.verbs.store.get(
            of_kind("Pod"), pod["metadata"]["namespace"], pod["metadata"]["name"]
        )
        assert live is not None
        how = Write("kubelet", "status")
        self.verbs._replace(of_kind("Pod"), live, copy.deepcopy(live) | {"status": status}, how)
        self._tell(live, fate, absent)

    def _unscheduled(self, pod: Object, why: str) -> None:
        status = copy.deepcopy(pod["status"])
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": why,
                "lastTransitionTime": _since(pod, "PodScheduled", "False"),
            }
        ]
        how = Write("kube-scheduler", "status")
        self.verbs._replace(of_kind("Pod"), pod, copy.deepcopy(pod) | {"status": status}, how)
        record(
            self.verbs, pod, "Warning", "FailedScheduling", why, "default-scheduler", again=False
        )

    def _bind(self, pod: Object) -> Object:
        meta = pod["metadata"]
        made = pod | {"spec": pod["spec"] | {"nodeName": NODE}}
        stored = self.verbs.store.put(of_kind("Pod"), made)
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {NODE}"
        record(self.verbs, stored, "Normal", "Scheduled", message, "default-scheduler")
        return stored

    def _missing_claims(self, pod: Object) -> Iterator[str]:
        for volume in pod["spec"].get("volumes", ()):
            name = volume.get("persistentVolumeClaim", {}).get("claimName")
            namespace = pod["metadata"]["namespace"]
            if name and not self.verbs.store.get(of_kind("PersistentVolumeClaim"), namespace, name):
                yield f'0/1 nodes are available: persistentvolumeclaim "{name}" not found.'

    def _missing_sources(self, pod: Object) -> Iterator[str]:
        """Secrets and ConfigMaps of the environment that are not there."""
        namespace = pod["metadata"]["namespace"]
        for one in pod["spec"]["containers"]:
            for env in one.get("env", ()):
                for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                    reference = env.get("valueFrom", {}).get(field)
                    if reference is None or reference.get("optional"):
                        continue
                    found = self.verbs.store.get(of_kind(kind), namespace, reference["name"])
                    if found is None:
                        yield f'{kind.lower()} "{reference["name"]}" not found'
                    elif reference["key"] not in (found.get("data") or {}):
                        yield (
                            f"couldn't find key {reference['key']} in {kind}"
                            f" {namespace}/{reference['name']}"
                        )

    def _container(self, pod: Object, one: Object, fate: Fate, absent: str) -> Object:
        image, name = one["image"], one["name"]
        known: Object = next(
            (s for s in pod["status"].get("containerStatuses", ()) if s["name"] == name), {}
        )
        started = known.get("state", {}).get("running", {}).get("startedAt", now())
        restarts = self.restarts.get(image, 3 if fate == "crash" else 0)
        made: Object = {
            "name": name,
            "image": image,
            "imageID": "" if fate == "pull-failure" else f"{image}@sha256:{'0' * 64}",
            "ready": fate == "ready",
            "started": fate in ("ready", "unready"),
            "restartCount": restarts,
            "state": {"running": {"startedAt": started}},
        }
        waiting = {
            "pull-failure": ("ImagePullBackOff", f'Back-off pulling image "{image}"'),
            "crash": (
                "CrashLoopBackOff",
                (
                    f"back-off 40s restarting failed container={name}"
                    f" pod={pod['metadata']['name']}_{pod['metadata']['namespace']}"
                ),
            ),
        }.get(fate)
        if absent:
            waiting = ("CreateContainerConfigError", absent)
        if waiting is not None:
            made |= {"ready": False, "started": False}
            made["state"] = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
        if fate == "crash" and not absent:
            last = known.get("lastState") or {
                "terminated": {
                    "exitCode": 1,
                    "reason": "Error",
                    "startedAt": now(),
                    "finishedAt": now(),
                }
            }
            made["lastState"] = last
        return made

    def _conditions(self, status: Object, pod: Object, good: bool) -> None:
        state = "True" if good else "False"
        names = f"[{' '.join(one['name'] for one in pod['spec']['containers'])}]"
        conditions = []
        for sort, value in (
            ("PodReadyToStartContainers", "True"),
            ("Initialized", "True"),
            ("Ready", state),
            ("ContainersReady", state),
            ("PodScheduled", "True"),
        ):
            one: Object = {
                "type": sort,
                "status": value,
                "lastTransitionTime": _since(pod, sort, value),
            }
            if value == "False":
                one["reason"] = "ContainersNotReady"
                one["message"] = f"containers with unready status: {names}"
            conditions.append(one)
        status["conditions"] = conditions

    def _tell(self, pod: Object, fate: Fate, absent: str) -> None:
        one = pod["spec"]["containers"][0]
        image, name = one["image"], one["name"]
        if absent:
            record(self.verbs, pod, "Warning", "Failed", f"Error: {absent}", "kubelet", again=False)
            return
        told = {
            "ready": [("Normal", "Started", f"Started container {name}")],
            "unready": [
                ("Normal", "Started", f"Started container {name}"),
                ("Warning", "Unhealthy", "Readiness probe failed: connection refused"),
            ],
            "pull-failure": [
                ("Warning", "Failed", f'Failed to pull image "{image}": not found'),
                ("Warning", "Failed", "Error: ErrImagePull"),
                ("Normal", "BackOff", f'Back-off pulling image "{image}"'),
            ],
            "crash": [
                (
                    "Warning",
                    "BackOff",
                    f"Back-off restarting failed container {name} in pod {pod['metadata']['name']}",
                )
            ],
            "pending": [],
        }[fate]
        for sort, reason, message in told:
            record(self.verbs, pod, sort, reason, message, "kubelet", again=False)


def _since(pod: Object, sort: str, value: str) -> str:
    for one in pod["status"].get("conditions", ()):
        if one["type"] == sort and one["status"] == value:
            return str(one["lastTransitionTime"])
    return now()
