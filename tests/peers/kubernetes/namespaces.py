"""What happens in namespaces: default objects, and the end of everything in one that is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.admission import PROTECTION
from tests.peers.kubernetes.resources import RESOURCES, of_kind
from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.verbs import Verbs


def _used(verbs: Verbs, claim: dict[str, Any]) -> bool:
    """Whether a Pod has a claim as a volume."""
    return any(
        volume.get("persistentVolumeClaim", {}).get("claimName") == claim["metadata"]["name"]
        for pod in verbs.store.all(of_kind("Pod"), claim["metadata"]["namespace"])
        for volume in pod["spec"].get("volumes", ())
    )


def reconcile(verbs: Verbs) -> None:
    """One pass; claims are bound here too."""
    for one in verbs.store.all(of_kind("Namespace")):
        name = one["metadata"]["name"]
        if "deletionTimestamp" not in one["metadata"]:
            if verbs.store.get(of_kind("ServiceAccount"), name, "default") is None:
                made = {
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "metadata": {"name": "default"},
                }
                verbs.create(
                    of_kind("ServiceAccount"), name, made, Write("kube-controller-manager")
                )
            continue
        left = 0
        for resource in RESOURCES:
            if not resource.namespaced:
                continue
            for given in verbs.store.all(resource, name):
                left += 1
                if "deletionTimestamp" not in given["metadata"]:
                    verbs.delete(resource, name, given["metadata"]["name"], {}, dry=False)
        if not left:
            verbs.store.remove(of_kind("Namespace"), one)
    for claim in verbs.store.all(of_kind("PersistentVolumeClaim")):
        if "deletionTimestamp" in claim["metadata"]:
            if claim["metadata"].get("finalizers") == [PROTECTION] and not _used(verbs, claim):
                verbs.store.remove(of_kind("PersistentVolumeClaim"), claim)
            continue
        if claim["status"].get("phase") == "Pending":
            spec = claim["spec"] | {"volumeName": f"pvc-{claim['metadata']['uid']}"}
            status = {
                "phase": "Bound",
                "accessModes": claim["spec"]["accessModes"],
                "capacity": claim["spec"]["resources"]["requests"],
            }
            verbs.store.put(
                of_kind("PersistentVolumeClaim"), claim | {"spec": spec, "status": status}
            )
