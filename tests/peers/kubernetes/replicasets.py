"""The emulated controller of ReplicaSets: as many Pods as asked for."""

from __future__ import annotations

import copy
import secrets
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.events import record
from tests.peers.kubernetes.failure import Failure
from tests.peers.kubernetes.owning import (
    Seen,
    condition,
    drop_condition,
    owned,
    ready,
    reference,
    versions,
)
from tests.peers.kubernetes.resources import of_kind
from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.verbs import Verbs

Object = dict[str, Any]
_BY = "replicaset-controller"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class ReplicaSets:
    """What was refused is tried again when something else in the cluster has changed."""

    def __init__(self, verbs: Verbs) -> None:
        self.verbs = verbs
        self._seen = Seen()

    def reconcile(self) -> None:
        """One pass."""
        store = self.verbs.store
        for one in store.all(of_kind("ReplicaSet")):
            if "deletionTimestamp" in one["metadata"]:
                continue
            refused = bool(one["status"].get("conditions"))
            pods = versions(owned(store, of_kind("Pod"), one))
            if self._seen.fresh(one, pods, store.version if refused else 0):
                self._one(one)

    def _one(self, one: Object) -> None:
        pods = [
            pod
            for pod in owned(self.verbs.store, of_kind("Pod"), one)
            if "deletionTimestamp" not in pod["metadata"]
        ]
        wanted = one["spec"]["replicas"]
        refusal = ""
        for _ in range(wanted - len(pods)):
            refusal = self._create(one)
            if refusal:
                break
        # Those that are not ready go first.
        for pod in sorted(pods, key=ready)[: max(0, len(pods) - wanted)]:
            name = pod["metadata"]["name"]
            self.verbs.delete(of_kind("Pod"), one["metadata"]["namespace"], name, {}, dry=False)
            record(self.verbs, one, "Normal", "SuccessfulDelete", f"Deleted pod: {name}", _BY)
        self._status(one, refusal)

    def _create(self, one: Object) -> str:
        """Make a Pod; why not."""
        template = copy.deepcopy(one["spec"]["template"])
        name = f"{one['metadata']['name']}-" + "".join(secrets.choice(_LETTERS) for _ in range(5))
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": template["metadata"]
            | {
                "name": name,
                "generateName": f"{one['metadata']['name']}-",
                "ownerReferences": [reference(one)],
            },
            "spec": template["spec"],
        }
        namespace = one["metadata"]["namespace"]
        try:
            self.verbs.create(of_kind("Pod"), namespace, pod, Write("kube-controller-manager"))
        except Failure as failure:
            message = f"Error creating: {failure}"
            plain = message.replace(name, f"{one['metadata']['name']}-*")
            record(self.verbs, one, "Warning", "FailedCreate", plain, _BY, again=False)
            return str(failure).replace(name, f"{one['metadata']['name']}-*")
        record(self.verbs, one, "Normal", "SuccessfulCreate", f"Created pod: {name}", _BY)
        return ""

    def _status(self, one: Object, refusal: str) -> None:
        live = self.verbs.store.get(
            of_kind("ReplicaSet"), one["metadata"]["namespace"], one["metadata"]["name"]
        )
        assert live is not None
        pods = [
            pod
            for pod in owned(self.verbs.store, of_kind("Pod"), live)
            if "deletionTimestamp" not in pod["metadata"]
        ]
        good = sum(map(ready, pods))
        status: Object = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": good,
            "availableReplicas": good,
        }
        if live["status"].get("conditions"):
            status["conditions"] = live["status"]["conditions"]
        if refusal:
            condition(status, "ReplicaFailure", "True", "FailedCreate", refusal, updates=False)
        else:
            drop_condition(status, "ReplicaFailure")
        status = {key: value for key, value in status.items() if value or key == "replicas"}
        self.verbs._replace(
            of_kind("ReplicaSet"),
            live,
            copy.deepcopy(live) | {"status": status},
            Write("kube-controller-manager", "status"),
        )
