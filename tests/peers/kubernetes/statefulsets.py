"""The emulated controller of StatefulSets."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.deployments import hash_of
from tests.peers.kubernetes.events import record
from tests.peers.kubernetes.failure import Failure
from tests.peers.kubernetes.owning import owned, ready, reference
from tests.peers.kubernetes.resources import of_kind
from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.verbs import Verbs

Object = dict[str, Any]
_BY = "statefulset-controller"


def reconcile(verbs: Verbs) -> None:
    """One pass."""
    for one in verbs.store.all(of_kind("StatefulSet")):
        if "deletionTimestamp" not in one["metadata"]:
            _one(verbs, one)


def _one(verbs: Verbs, one: Object) -> None:
    meta, spec = one["metadata"], one["spec"]
    revision = f"{meta['name']}-{hash_of(spec['template'])}"
    pods = {pod["metadata"]["name"]: pod for pod in owned(verbs.store, of_kind("Pod"), one)}
    wanted = [f"{meta['name']}-{at}" for at in range(spec["replicas"])]
    for name, pod in pods.items():
        stale = pod["metadata"]["labels"].get("controller-revision-hash") != revision
        if (name not in wanted or stale) and "deletionTimestamp" not in pod["metadata"]:
            verbs.delete(of_kind("Pod"), meta["namespace"], name, {}, dry=False)
            break
    else:
        missing = next((name for name in wanted if name not in pods), None)
        if missing is not None and all(ready(pod) for pod in pods.values()):
            _create(verbs, one, missing, revision)
    current = [
        pod
        for pod in pods.values()
        if pod["metadata"]["labels"].get("controller-revision-hash") == revision
    ]
    status = {
        "observedGeneration": meta["generation"],
        "replicas": len(pods),
        "readyReplicas": sum(map(ready, pods.values())),
        "availableReplicas": sum(map(ready, pods.values())),
        "currentReplicas": len(current),
        "updatedReplicas": len(current),
        "currentRevision": revision,
        "updateRevision": revision,
        "collisionCount": 0,
    }
    verbs._replace(
        of_kind("StatefulSet"),
        one,
        copy.deepcopy(one) | {"status": status},
        Write("kube-controller-manager", "status"),
    )


def _create(verbs: Verbs, one: Object, name: str, revision: str) -> None:
    template = copy.deepcopy(one["spec"]["template"])
    labels = template["metadata"].setdefault("labels", {})
    labels["controller-revision-hash"] = revision
    labels["statefulset.kubernetes.io/pod-name"] = name
    volumes = template["spec"].setdefault("volumes", [])
    for claim in one["spec"].get("volumeClaimTemplates", ()):
        full = f"{claim['metadata']['name']}-{name}"
        namespace = one["metadata"]["namespace"]
        if verbs.store.get(of_kind("PersistentVolumeClaim"), namespace, full) is None:
            made = copy.deepcopy(claim) | {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
            made["metadata"] = {**made["metadata"], "name": full}
            made.pop("status", None)
            verbs.create(of_kind("PersistentVolumeClaim"), namespace, made, Write(_BY))
        volumes.append(
            {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": full}}
        )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"] | {"name": name, "ownerReferences": [reference(one)]},
        "spec": template["spec"],
    }
    try:
        verbs.create(of_kind("Pod"), one["metadata"]["namespace"], pod, Write(_BY))
    except Failure as failure:
        message = (
            f"create Pod {name} in StatefulSet {one['metadata']['name']} failed error: {failure}"
        )
        record(verbs, one, "Warning", "FailedCreate", message, _BY, again=False)
